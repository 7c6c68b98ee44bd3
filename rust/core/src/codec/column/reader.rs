//! Streams in, columns out.

use super::super::bits::BitReader;
use super::super::kind::{self, Kind};
use super::super::long;
use super::super::predict::{self, Plan, Predictor};
use super::super::varint::{unzigzag, Reader};
use super::super::{shuffle, stream, CodecError};
use super::{stored_to_head, LONG, SHIFTED, TOP};

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
            let size =
                usize::try_from(self.long.u64("a long column")?).map_err(|_| CodecError::Truncated("a long column"))?;
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
