//! Columns in, streams out.

use std::ops::Range;

use super::super::bits::BitWriter;
use super::super::kind::{self, Kind};
use super::super::long::{self, Search};
use super::super::predict::{self, Plan, Predictor};
use super::super::varint::{put_u64, zigzag};
use super::super::{shuffle, stream};
use super::{head_to_stored, LONG, SHIFTED, TOP};

/// Elements of a long column that are compressed on trial, and the share of the short form's size that pco must reach to be worth
/// three times its time.
const WINDOW: usize = 1024;
const WORTH: f64 = 0.97;

/// Takes columns, writes streams.
#[derive(Debug, Default)]
pub struct ColumnsWriter {
    codes: Vec<u8>,
    layout: Vec<u8>,
    heads: [Vec<u64>; 3],
    narrow: Vec<u8>,
    wide: Vec<u8>,
    low: BitWriter,
    long: Vec<u8>,
    words: Vec<u64>,
    residuals: Vec<u64>,
}

impl ColumnsWriter {
    /// Appends a column of values, of which there is at least one.
    pub fn push_values(&mut self, values: &[f64]) {
        let kind = kind::classify(values);
        kind::to_words(kind, values, &mut self.words);
        self.push(kind, values);
    }

    /// Appends a column of integers, of which there is at least one.
    pub fn push_ints(&mut self, ints: impl Iterator<Item = i64>) {
        self.words.clear();
        self.words.extend(ints.map(|i| i as u64));
        self.push(Kind::Int, &[]);
    }

    /// Appends `self.words`. `values` are the same as values, or empty if they are none.
    fn push(&mut self, kind: Kind, values: &[f64]) {
        let plan = predict::take_apart(kind, &self.words, &mut self.residuals);
        let long = plan.width > 0 && (long::MIN_LEN..=long::MAX_LEN).contains(&self.words.len());
        match long.then(|| self.compress_long(kind, values, &plan)).flatten() {
            Some(chunk) => {
                self.codes.push(kind as u8 | LONG);
                put_u64(&mut self.long, chunk.len() as u64);
                self.long.extend_from_slice(&chunk);
            }
            None => self.push_short(kind, &plan),
        }
    }

    /// The long form of the column, if it is smaller than the short form will be. Of a column that is much longer than the window,
    /// a window in the middle tells first whether the rest is worth the time.
    fn compress_long(&self, kind: Kind, values: &[f64], plan: &Plan) -> Option<Vec<u8>> {
        let len = self.words.len();
        let worth = short_bits(plan, &self.residuals) / 8.0 * WORTH;
        let size = |chunk: &Vec<u8>, n: usize| chunk.len() as f64 / n as f64;
        if len > WINDOW {
            let start = (len - WINDOW) / 2;
            let window = self.compress_range(kind, values, start..start + WINDOW)?;
            if size(&window, WINDOW) > worth {
                return None;
            }
        }
        self.compress_range(kind, values, 0..len).filter(|chunk| size(chunk, len) < worth)
    }

    fn compress_range(&self, kind: Kind, values: &[f64], range: Range<usize>) -> Option<Vec<u8>> {
        let words = &self.words[range.clone()];
        match kind {
            Kind::F32 => {
                let narrow: Vec<u32> = words.iter().map(|&w| w as u32).collect();
                long::compress(&narrow, words, Search::Plain)
            }
            Kind::F64 => long::compress(&values[range], words, Search::Multiples),
            Kind::Int => {
                let search = if values.is_empty() { Search::Plain } else { Search::Multiples };
                long::compress(bytemuck::cast_slice::<u64, i64>(words), words, search)
            }
        }
    }

    fn push_short(&mut self, kind: Kind, plan: &Plan) {
        let shifted = if plan.shift > 0 { SHIFTED } else { 0 };
        self.codes.push(kind as u8 | (plan.predictor as u8) << 2 | shifted);
        self.heads[kind as usize].push(head_to_stored(kind, plan.head));
        if plan.predictor == Predictor::Slope {
            self.heads[Kind::Int as usize].push(zigzag(plan.slope));
        }
        if self.residuals.is_empty() {
            return;
        }
        self.layout.push(plan.width as u8);
        if plan.shift > 0 {
            self.layout.push(plan.shift as u8);
        }
        match plan.width {
            0 => {}
            1..=TOP => self.narrow.extend(self.residuals.iter().map(|&r| r as u8)),
            width => {
                let low = width - TOP;
                let mask = (1u64 << low) - 1;
                self.wide.extend(self.residuals.iter().map(|r| (r >> low) as u8));
                self.low.reserve(self.residuals.len() * low as usize);
                self.low.pack(self.residuals.iter().map(|r| r & mask), low);
            }
        }
    }

    /// Writes descriptors and body and is empty again.
    pub fn finish(&mut self, meta: &mut Vec<u8>, body: &mut Vec<u8>) {
        meta.append(&mut self.codes);
        meta.append(&mut self.layout);
        let mut plane = Vec::new();
        for kind in [Kind::Int, Kind::F32, Kind::F64] {
            let heads = &mut self.heads[kind as usize];
            for p in 0..kind.bytes() {
                shuffle::plane(heads, p, &mut plane);
                stream::put(&plane, body);
            }
            heads.clear();
        }
        stream::put(&self.narrow, body);
        stream::put(&self.wide, body);
        let low = self.low.finish();
        stream::put(&low, body);
        self.low.recycle(low);
        self.narrow.clear();
        self.wide.clear();
        body.append(&mut self.long);
    }
}

/// About how many bits an element takes in the short form: the entropy of the top bytes and the bits below.
fn short_bits(plan: &Plan, residuals: &[u64]) -> f64 {
    let low = plan.width.saturating_sub(TOP);
    let mut counts = [0u32; 256];
    for r in residuals {
        counts[(r >> low) as usize & 255] += 1;
    }
    let total = residuals.len() as f64;
    let top: f64 = counts
        .iter()
        .map(|&n| f64::from(n) / total)
        .filter(|&share| share > 0.0)
        .map(|share| -share * share.log2())
        .sum();
    top + f64::from(low)
}
