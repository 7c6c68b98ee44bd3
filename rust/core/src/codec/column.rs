//! All columns of a batch in common streams: what is alike stands together, however small the single columns are.
//!
//! A short column is taken apart ([`super::predict`]) into a head and residuals of `width` bits. Heads of one kind form byte planes.
//! Of a residual the top eight bits go to the stream `wide` (to `narrow` when there are no more than eight), where an entropy coder
//! sees their distribution, and the bits below go to `low` as they are: they are noise, or a second pass finds that they are not.
//! Measured against byte shuffle + zstd of the values, this is smaller and takes less time, because the entropy coder sees one byte
//! a value instead of eight.
//!
//! ```text
//! descriptors (part of the batch's meta stream)
//!   code     1 byte a column: kind 0-1 | predictor 2-3 | shifted 4 | long 5; other bits zero
//!   layout   for each short column with residuals: width 1 byte, then shift 1 byte if shifted
//! body
//!   heads    8 planes of integers, 4 of float32, 8 of float64; a slope follows the head of its column among the integers
//!   narrow, wide, low      three streams
//!   long     for each long column: varint length, one pco chunk
//! ```

use std::ops::Range;

use super::bits::{BitReader, BitWriter};
use super::kind::{self, Kind};
use super::long::{self, Search};
use super::predict::{self, Plan, Predictor};
use super::varint::{put_u64, unzigzag, zigzag, Reader};
use super::{shuffle, stream, CodecError};

const SHIFTED: u8 = 1 << 4;
const LONG: u8 = 1 << 5;
/// Bits of a residual that the entropy coder sees.
const TOP: u32 = 8;
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

/// `columns` columns of `len` elements each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub columns: usize,
    pub len: usize,
}

/// Gives columns back, in the order in which they were written.
#[derive(Debug)]
pub struct ColumnsReader<'a> {
    codes: &'a [u8],
    layout: Reader<'a>,
    heads: [std::vec::IntoIter<u64>; 3],
    narrow: Vec<u8>,
    narrow_at: usize,
    wide: Vec<u8>,
    wide_at: usize,
    low: Vec<u8>,
    low_at: usize,
    long: Reader<'a>,
    words: Vec<u64>,
}

/// What the descriptors say about one column.
struct Descriptor {
    kind: Kind,
    long: bool,
    predictor: Predictor,
    width: u32,
    shift: u32,
}

fn descriptor(code: u8, len: usize, layout: &mut Reader<'_>) -> Result<Descriptor, CodecError> {
    const UNKNOWN: CodecError = CodecError::Malformed("a column has an unknown code");
    let kind = Kind::from_code(code & 3).ok_or(UNKNOWN)?;
    let predictor = Predictor::from_code(code >> 2 & 3).ok_or(UNKNOWN)?;
    let long = code & LONG != 0;
    if code >> 6 != 0 || (long && code & !(LONG | 3) != 0) || (long && len < long::MIN_LEN) {
        return Err(UNKNOWN);
    }
    let (mut width, mut shift) = (0, 0);
    if !long && predictor.residuals(len) > 0 {
        width = u32::from(layout.u8("a column's width")?);
        if code & SHIFTED != 0 {
            shift = u32::from(layout.u8("a column's shift")?);
        }
        if width + shift > 64 || shift > 63 {
            return Err(CodecError::Malformed("a column is wider than 64 bits"));
        }
    }
    Ok(Descriptor { kind, long, predictor, width, shift })
}

impl<'a> ColumnsReader<'a> {
    /// Opens the columns whose shapes the batch declares. `meta` stands at the codes and is read to its end; `body` likewise.
    ///
    /// The caller has checked the number of elements against its limits: memory is at most about nine bytes for each, and each
    /// stream is allocated only when its own size agrees.
    pub fn open(shapes: &[Shape], meta: &mut Reader<'a>, body: &mut Reader<'a>) -> Result<Self, CodecError> {
        let columns = shapes.iter().map(|s| s.columns).sum();
        let codes = meta.take(columns, "the column codes")?;
        let layout = Reader::new(meta.rest());
        let mut heads = [0usize; 3];
        let (mut narrow, mut wide, mut low_bits) = (0usize, 0usize, 0usize);
        let mut scan = layout;
        let lens = shapes.iter().flat_map(|s| std::iter::repeat_n(s.len, s.columns));
        for (&code, len) in codes.iter().zip(lens) {
            let column = descriptor(code, len, &mut scan)?;
            if column.long {
                continue;
            }
            heads[column.kind as usize] += 1;
            heads[Kind::Int as usize] += usize::from(column.predictor == Predictor::Slope);
            let residuals = column.predictor.residuals(len);
            match column.width {
                0 => {}
                1..=TOP => narrow += residuals,
                width => {
                    wide += residuals;
                    low_bits += residuals * (width - TOP) as usize;
                }
            }
        }
        if scan.remaining() > 0 {
            return Err(CodecError::Malformed("bytes follow the column layout"));
        }
        let mut bytes = Vec::new();
        let mut read_heads = |kind: Kind, count: usize, body: &mut Reader<'a>| {
            let mut words = vec![0u64; count];
            for p in 0..kind.bytes() {
                stream::get(body, count, "the heads", &mut bytes)?;
                shuffle::unplane(&bytes, p, &mut words);
            }
            Ok(words.into_iter())
        };
        let heads = [
            read_heads(Kind::Int, heads[0], body)?,
            read_heads(Kind::F32, heads[1], body)?,
            read_heads(Kind::F64, heads[2], body)?,
        ];
        let (mut narrow_bytes, mut wide_bytes, mut low_bytes) = (Vec::new(), Vec::new(), Vec::new());
        stream::get(body, narrow, "the narrow residuals", &mut narrow_bytes)?;
        stream::get(body, wide, "the wide residuals", &mut wide_bytes)?;
        stream::get(body, low_bits.div_ceil(8), "the low bits", &mut low_bytes)?;
        low_bytes.extend_from_slice(&[0; BitReader::PADDING]);
        Ok(ColumnsReader {
            codes,
            layout,
            heads,
            narrow: narrow_bytes,
            narrow_at: 0,
            wide: wide_bytes,
            wide_at: 0,
            low: low_bytes,
            low_at: 0,
            long: Reader::new(body.rest()),
            words: Vec::new(),
        })
    }

    /// Reads the next column as values.
    pub fn values(&mut self, values: &mut [f64]) -> Result<(), CodecError> {
        let (kind, chunk) = self.next(values.len())?;
        match (chunk, kind) {
            (None, _) => kind::from_words(kind, &self.words, values),
            (Some(chunk), Kind::F64) => long::decompress(chunk, values),
            (Some(chunk), Kind::F32) => {
                let mut narrow = vec![0u32; values.len()];
                long::decompress(chunk, &mut narrow)?;
                self.words.clear();
                self.words.extend(narrow.iter().map(|&w| u64::from(w)));
                kind::from_words(kind, &self.words, values)
            }
            (Some(chunk), Kind::Int) => {
                self.words.clear();
                self.words.resize(values.len(), 0);
                long::decompress(chunk, bytemuck::cast_slice_mut::<u64, i64>(&mut self.words))?;
                kind::from_words(kind, &self.words, values)
            }
        }
    }

    /// Reads the next column as integers.
    pub fn ints(&mut self, len: usize) -> Result<Vec<i64>, CodecError> {
        let (kind, chunk) = self.next(len)?;
        if kind != Kind::Int {
            return Err(CodecError::Malformed("a column of integers has another kind"));
        }
        let mut ints = vec![0i64; len];
        match chunk {
            Some(chunk) => long::decompress(chunk, &mut ints)?,
            None => ints.copy_from_slice(bytemuck::cast_slice(&self.words)),
        }
        Ok(ints)
    }

    /// True when every column was read and no byte is left.
    pub fn is_at_end(&self) -> bool {
        self.codes.is_empty() && self.long.remaining() == 0
    }

    /// The next column's kind, and its words in `self.words` or else its pco chunk.
    fn next(&mut self, len: usize) -> Result<(Kind, Option<&'a [u8]>), CodecError> {
        let (&code, codes) = self.codes.split_first().ok_or(CodecError::Truncated("the column codes"))?;
        self.codes = codes;
        let column = descriptor(code, len, &mut self.layout)?;
        if column.long {
            let size = usize::try_from(self.long.u64("a long column")?)
                .map_err(|_| CodecError::Truncated("a long column"))?;
            return Ok((column.kind, Some(self.long.take(size, "a long column")?)));
        }
        const HEADS: CodecError = CodecError::Truncated("the heads");
        let head = self.heads[column.kind as usize].next().ok_or(HEADS)?;
        let slope = match column.predictor {
            Predictor::Slope => unzigzag(self.heads[Kind::Int as usize].next().ok_or(HEADS)?),
            Predictor::Previous | Predictor::Center => 0,
        };
        let plan = Plan {
            predictor: column.predictor,
            head: stored_to_head(column.kind, head),
            slope,
            shift: column.shift,
            width: column.width,
        };
        self.read_words(&plan, column.predictor.residuals(len))?;
        Ok((column.kind, None))
    }

    fn read_words(&mut self, plan: &Plan, residuals: usize) -> Result<(), CodecError> {
        let words = &mut self.words;
        words.clear();
        match plan.width {
            0 => predict::put_together(plan, std::iter::repeat_n(0, residuals), words),
            width @ 1..=TOP => {
                let bytes = self.narrow.get(self.narrow_at..self.narrow_at + residuals);
                let bytes = bytes.ok_or(CodecError::Truncated("the narrow residuals"))?;
                if u32::from(bytes.iter().fold(0, |all, b| all | b)) >> width != 0 {
                    return Err(CodecError::Malformed("a residual is wider than its column"));
                }
                predict::put_together(plan, bytes.iter().map(|&b| u64::from(b)), words);
                self.narrow_at += residuals;
            }
            width => {
                let low = width - TOP;
                let top = self.wide.get(self.wide_at..self.wide_at + residuals);
                let top = top.ok_or(CodecError::Truncated("the wide residuals"))?;
                let mut bits = BitReader::new(&self.low, self.low_at);
                predict::put_together(plan, top.iter().map(|&b| u64::from(b) << low | bits.get(low)), words);
                self.wide_at += residuals;
                self.low_at += residuals * low as usize;
            }
        }
        Ok(())
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

/// Integer heads are zigzagged, so that small negative ones have zero planes.
fn head_to_stored(kind: Kind, head: u64) -> u64 {
    match kind {
        Kind::Int => zigzag(head as i64),
        Kind::F32 | Kind::F64 => head,
    }
}

fn stored_to_head(kind: Kind, stored: u64) -> u64 {
    match kind {
        Kind::Int => unzigzag(stored) as u64,
        Kind::F32 | Kind::F64 => stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in 0..1 that looks random: splitmix64, 24 bits.
    fn noise(i: usize) -> f64 {
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f64 / f64::from(1u32 << 24)
    }

    #[test]
    fn columns_of_every_form_round_trip() {
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for len in [1, 2, 3, 15, 16, 17, 300, 999, 1_000, 2_500] {
            columns.push(vec![0.25; len]);
            columns.push((0..len).map(|i| 4_096.0 * i as f64 - 7.0).collect());
            columns.push((0..len).map(|i| (noise(i) * 9.0).floor()).collect());
            columns.push((0..len).map(|i| f64::from((2.0 + noise(i)) as f32)).collect());
            columns.push((0..len).map(|i| f64::from(((2.0 + noise(i)) as f32).to_bits() & 0xffff_0000)).collect());
            columns.push((0..len).map(|i| noise(i) / 3.0).collect());
            columns.push((0..len).map(|i| (noise(i) * 1_000.0).floor() * 0.01).collect());
            columns.push((0..len).map(|i| if i % 3 == 0 { f64::NAN } else { 1e300 * noise(i) }).collect());
            columns.push((0..len).map(|i| f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect());
        }
        let mut writer = ColumnsWriter::default();
        let (mut meta, mut body) = (Vec::new(), Vec::new());
        for round in 0..2 {
            meta.clear();
            body.clear();
            for column in &columns {
                writer.push_values(column);
                writer.push_ints(column.iter().map(|v| v.to_bits() as i64));
            }
            assert!(writer.codes.iter().any(|code| code & LONG != 0), "some column takes the long form");
            writer.finish(&mut meta, &mut body);
            let shapes: Vec<Shape> = columns.iter().map(|c| Shape { columns: 2, len: c.len() }).collect();
            let (mut meta, mut body) = (Reader::new(&meta), Reader::new(&body));
            let mut reader = ColumnsReader::open(&shapes, &mut meta, &mut body).unwrap();
            for (i, column) in columns.iter().enumerate() {
                let mut back = vec![0.0; column.len()];
                reader.values(&mut back).unwrap();
                assert!(column.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()), "{round} {i}");
                let ints = reader.ints(column.len()).unwrap();
                assert!(column.iter().zip(&ints).all(|(a, b)| a.to_bits() as i64 == *b), "{round} {i}");
            }
            assert!(reader.is_at_end());
        }
    }
}
