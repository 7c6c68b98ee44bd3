//! Columns in, streams out.

use std::ops::Range;

use super::super::bits::BitWriter;
use super::super::kind::{self, Kind};
use super::super::long::{self, Search};
use super::super::predict::{self, Plan, Predictor};
use super::super::varint::{put_u64, zigzag};
use super::super::{shuffle, stream};
use super::{head_to_stored, LONG, SHIFTED, TOP};

/// The share of the short form's size that pco must reach to be worth three times its time.
const WORTH: f64 = 0.97;
/// What the differences of the best order must save, in bits a number, before pco is tried for them.
const SMOOTHER: f64 = 1.0;
/// Numbers that are searched for a common base, and what pco's header may take of that trial.
const SAMPLE: usize = 256;
const SAMPLE_HEADER: f64 = 64.0;

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

    /// The long form of the column, if it is smaller than the short form will be. Noise and walks are not worth the time, which is
    /// told by what pco knows and the short form does not: differences of a higher order, and multiples of a common base.
    fn compress_long(&self, kind: Kind, values: &[f64], plan: &Plan) -> Option<Vec<u8>> {
        let len = self.words.len();
        let (order, bits) = long::delta_order(&self.words);
        let smoother = long::mean_bits(&self.residuals) - bits > SMOOTHER;
        // A column of 32 bits has no base that pays, and one that is no values (steps, times) neither.
        if !smoother && (kind == Kind::F32 || values.is_empty()) {
            return None;
        }
        let worth = short_bits(plan, &self.residuals) / 8.0 * WORTH;
        let search = if smoother { Search::Plain } else { Search::Multiples };
        if search == Search::Multiples {
            let start = (len - SAMPLE) / 2;
            let sample = self.compress_range(kind, values, start..start + SAMPLE, order, search)?;
            if sample.len() as f64 - SAMPLE_HEADER > worth * SAMPLE as f64 {
                return None;
            }
        }
        let whole = self.compress_range(kind, values, 0..len, order, search)?;
        ((whole.len() as f64) < worth * len as f64).then_some(whole)
    }

    fn compress_range(
        &self,
        kind: Kind,
        values: &[f64],
        range: Range<usize>,
        order: usize,
        search: Search,
    ) -> Option<Vec<u8>> {
        let words = &self.words[range.clone()];
        match kind {
            Kind::F32 => {
                let narrow: Vec<u32> = words.iter().map(|&w| w as u32).collect();
                long::compress(&narrow, order, search)
            }
            Kind::F64 => long::compress(&values[range], order, search),
            Kind::Int => long::compress(bytemuck::cast_slice::<u64, i64>(words), order, search),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes a value of a column.
    fn size(value: impl Fn(u64) -> f64) -> f64 {
        const LEN: u64 = 2_000;
        let mut writer = ColumnsWriter::default();
        writer.push_values(&(0..LEN).map(value).collect::<Vec<_>>());
        let (mut meta, mut body) = (Vec::new(), Vec::new());
        writer.finish(&mut meta, &mut body);
        (meta.len() + body.len()) as f64 / LEN as f64
    }

    /// Evenly from 0 to below `n`.
    fn noise(i: u64, n: u64) -> f64 {
        ((u128::from((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(n)) >> 64) as f64
    }

    #[test]
    fn columns_with_structure_take_what_their_structure_leaves() {
        let cosine = |i: u64| (i as f64 / 2_000.0).cos();
        // 10 bits each, whatever the base is.
        assert!(size(|i| noise(i, 1_024) * 0.001) < 1.5, "decimals");
        assert!(size(|i| noise(i, 1_024) / 48.0) < 1.5, "shares");
        assert!(size(|i| noise(i, 1_024) * 12_345.0) < 1.5, "multiples");
        assert!(size(|i| 3e-4 * (1.0 + cosine(i))) < 2.0, "schedule");
        assert!(size(|i| f64::from(cosine(i) as f32)) < 1.5, "smooth, narrow");
        assert!(size(|i| i as f64 * i as f64) < 0.1, "parabola");
        assert!(size(|i| i as f64 * 4_096.0) < 0.1, "counter");
    }

    #[test]
    fn noise_takes_its_entropy() {
        assert!(size(|i| noise(i, 1 << 20)) < 2.6);
        assert!(size(|i| f64::from((1.0 + noise(i, 1 << 20) / (1 << 21) as f64) as f32)) < 2.7);
    }
}
