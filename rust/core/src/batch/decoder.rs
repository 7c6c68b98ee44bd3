//! Batches in, columns out.

use super::budget::Budget;
use super::coverage::Coverage;
use super::definitions::Definitions;
use super::format::{FLAGS, HEADER, VERSION};
use super::section;
use super::{BatchError, DecodeLimits, DecodedBatch};
use crate::codec::column::ColumnsReader;
use crate::codec::stream;
use crate::codec::varint::Reader;

/// The definitions of one stream and the limits that its batches must keep.
#[derive(Debug)]
pub struct StreamDecoder {
    pub(super) limits: DecodeLimits,
    pub(super) definitions: Definitions,
}

impl StreamDecoder {
    pub fn new(limits: DecodeLimits) -> Self {
        StreamDecoder { limits, definitions: Definitions::default() }
    }

    /// Decodes a columnar batch whose envelope says `first_seq..=last_seq`. After an error the definitions of the stream are as
    /// before the call.
    pub fn decode(&mut self, first_seq: u64, last_seq: u64, data: &[u8]) -> Result<DecodedBatch, BatchError> {
        let mark = self.definitions.mark();
        let mut batch = DecodedBatch { first_seq, last_seq, ..Default::default() };
        match self.read(data, &mut batch) {
            Ok(()) => Ok(batch),
            Err(error) => {
                self.definitions.roll_back(mark, &batch.new_metrics);
                Err(error)
            }
        }
    }

    /// The metrics that `batch` brought are not stored: a plain batch that has them brings them again.
    pub fn forget_names(&mut self, batch: &DecodedBatch) {
        self.definitions.forget(&batch.new_metrics);
    }

    fn read(&mut self, data: &[u8], batch: &mut DecodedBatch) -> Result<(), BatchError> {
        let mut body = self.open(data)?;
        let mut budget = Budget::new(self.limits);
        let rows = read_envelope(&mut body, batch, &mut budget)?;

        let meta_len = body.u64("the length of the meta stream")?;
        let meta_len = usize::try_from(meta_len).unwrap_or(usize::MAX);
        budget.memory(meta_len, 1)?;
        let mut meta = Vec::new();
        stream::get(&mut body, meta_len, "the meta stream", &mut meta)?;
        let mut meta = Reader::new(&meta);
        self.definitions.read(&mut meta, batch.points, &self.limits, &mut batch.new_metrics)?;

        let plans = section::read_plans(&mut meta, &self.definitions, &mut budget)?;
        let points = plans.iter().map(section::Plan::points).sum::<usize>();
        if points != batch.points {
            return Err(BatchError::malformed(format_args!(
                "the batch declares {} points and its sections have {points}",
                batch.points
            )));
        }
        let shapes: Vec<_> = plans.iter().flat_map(section::Plan::shapes).collect();
        let mut columns = ColumnsReader::open(&shapes, &mut meta, &mut body)?;
        let mut coverage = Coverage::new(batch.first_seq, rows);
        for plan in plans {
            let section = plan.read(batch.first_seq, &mut columns)?;
            coverage.add(&section.seqs, section.rows())?;
            batch.sections.push(section);
        }
        coverage.check_complete()?;
        if !columns.is_at_end() {
            return Err(BatchError::malformed("bytes follow the last column"));
        }
        Ok(())
    }

    /// Checks the header and returns what it protects.
    fn open<'a>(&self, data: &'a [u8]) -> Result<Reader<'a>, BatchError> {
        if data.len() > self.limits.max_batch_bytes {
            return Err(BatchError::limit(format_args!(
                "the batch has {} bytes, more than {}",
                data.len(),
                self.limits.max_batch_bytes
            )));
        }
        let mut header = Reader::new(data);
        let (version, flags) = (header.u8("the header")?, header.u8("the header")?);
        if version != VERSION {
            return Err(BatchError::version(format_args!("the batch has the format version {version}, not {VERSION}")));
        }
        if flags != FLAGS {
            return Err(BatchError::version(format_args!("the batch has the unknown flags {flags:#04x}")));
        }
        let checksum = header.take(4, "the header")?;
        if checksum != crc32c::crc32c(&data[HEADER..]).to_le_bytes() {
            return Err(BatchError::checksum());
        }
        Ok(header)
    }
}

/// Compares the sequences with the envelope, checks the number of points, and returns the number of sequences.
fn read_envelope(body: &mut Reader<'_>, batch: &mut DecodedBatch, budget: &mut Budget) -> Result<usize, BatchError> {
    let first = body.u64("the sequences")?;
    let span = body.u64("the sequences")?;
    let (wanted_first, wanted_last) = (batch.first_seq, batch.last_seq);
    if first == 0 || first != wanted_first || first.checked_add(span) != Some(wanted_last) {
        return Err(BatchError::sequence(format_args!(
            "the batch begins at sequence {first} and its envelope says {wanted_first} to {wanted_last}"
        )));
    }
    let points = usize::try_from(body.u64("the number of points")?).unwrap_or(usize::MAX);
    budget.points(points)?;
    // Each sequence has at least one point.
    match usize::try_from(span).ok().and_then(|span| span.checked_add(1)) {
        Some(rows) if rows <= points => {
            batch.points = points;
            Ok(rows)
        }
        _ => Err(BatchError::sequence("the batch has fewer points than sequences")),
    }
}
