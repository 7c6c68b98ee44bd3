//! Records in, batches out.

use super::assemble::{assemble, bound};
use super::dictionary::Dictionary;
use super::format::MAX_POINTS;
use super::pending::{ArraySlice, Pending};
use super::{BatchError, BatchLimits};
use crate::codec::column::ColumnsWriter;
use crate::record::Record;

/// What became of a record that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// All of it is in the batch (or was already sent, or takes no sequence).
    Taken,
    /// The batch is full. Of an array, `taken` elements went in by this call; of other records nothing did. Call `finish`, then push
    /// the same record again: what was taken is not taken twice.
    Full { taken: usize },
}

/// One message for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBatch {
    pub first_seq: u64,
    pub last_seq: u64,
    pub points: usize,
    pub bytes: Vec<u8>,
}

/// Cuts the records of one writer into batches, for one stream.
#[derive(Debug)]
pub struct StreamEncoder {
    limits: BatchLimits,
    dictionary: Dictionary,
    pending: Pending,
    last_seq: u64,
    columns: ColumnsWriter,
}

/// A record's sequences and what it would add to the batch.
struct Cost {
    points: usize,
    bytes: usize,
}

impl StreamEncoder {
    pub fn new(limits: BatchLimits) -> Self {
        let limits = BatchLimits { max_points: limits.max_points.clamp(1, MAX_POINTS), ..limits };
        StreamEncoder {
            limits,
            dictionary: Dictionary::default(),
            pending: Pending::default(),
            last_seq: 0,
            columns: ColumnsWriter::default(),
        }
    }

    /// Adds a record. Sequences at or below `after_seq`, and those taken before, are left out; the rest must follow the last one
    /// without a hole. Definitions are remembered; control records are ignored.
    ///
    /// A single row that is larger than a whole batch is taken alone, so that it reaches the service, which rejects it by name.
    pub fn push(&mut self, record: &Record<'_>, after_seq: u64) -> Result<Push, BatchError> {
        match *record {
            Record::Name { id, name } => self.dictionary.define_name(id, name).map(|()| Push::Taken),
            Record::KeySet { id, names } => self.dictionary.define_keyset(id, names).map(|()| Push::Taken),
            Record::Control { .. } => Ok(Push::Taken),
            Record::Row { seq, time_ms, step, keyset, values } => {
                if !self.is_new(seq, 1, after_seq)? {
                    return Ok(Push::Taken);
                }
                self.push_row(seq, step, time_ms, keyset, values)
            }
            Record::Sparse { seq, time_ms, step, names, values } => {
                if !self.is_new(seq, 1, after_seq)? {
                    return Ok(Push::Taken);
                }
                self.push_sparse(seq, step, time_ms, names, values)
            }
            Record::Array { seq, time_ms, name, steps, values } => {
                if steps.len() != values.len() {
                    return Err(BatchError::malformed("an array has other numbers of steps than of values"));
                }
                if values.is_empty() || !self.is_new(seq, values.len(), after_seq)? {
                    return Ok(Push::Taken);
                }
                // Fits: `is_new` has found an element above both.
                let skip = after_seq.max(self.last_seq).saturating_sub(seq - 1) as usize;
                self.push_array(seq + skip as u64, time_ms, name, &steps[skip..], &values[skip..])
            }
        }
    }

    /// Points that wait for `finish`.
    pub fn pending_points(&self) -> usize {
        self.pending.points
    }

    /// Highest sequence that was taken so far on this stream.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Encodes what waits; None when nothing does.
    pub fn finish(&mut self) -> Result<Option<EncodedBatch>, BatchError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let bytes = assemble(&self.pending, &mut self.dictionary, &mut self.columns)?;
        let Pending { first_seq, last_seq, points, .. } = self.pending;
        self.pending.clear();
        Ok(Some(EncodedBatch { first_seq, last_seq, points, bytes }))
    }

    /// Begins a new stream: nothing waits, nothing counts as sent, definitions are sent anew. What was defined stays known.
    pub fn restart(&mut self) {
        self.dictionary.restart();
        self.pending.clear();
        self.last_seq = 0;
    }

    /// Whether any of the `n` sequences from `seq` still has to be taken.
    fn is_new(&self, seq: u64, n: usize, after_seq: u64) -> Result<bool, BatchError> {
        let last = seq.checked_add(n as u64 - 1).filter(|_| seq > 0);
        let last = last.ok_or_else(|| BatchError::malformed(format_args!("a record has the sequence {seq}")))?;
        if last <= after_seq.max(self.last_seq) {
            return Ok(false);
        }
        // Sequences that `after_seq` leaves out may be missing; nothing else may.
        let expected = self.last_seq.max(after_seq) + 1;
        if self.last_seq > 0 && seq > expected {
            return Err(BatchError::sequence(format_args!("sequence {seq} follows {}", expected - 1)));
        }
        if !self.pending.is_empty() && after_seq > self.last_seq {
            return Err(BatchError::sequence("the acknowledged sequence is ahead of what waits"));
        }
        Ok(true)
    }

    /// Whether the batch has to be finished before this is added.
    fn is_full(&self, cost: &Cost) -> bool {
        !self.pending.is_empty()
            && (self.pending.points + cost.points > self.limits.max_points
                || bound::BATCH + self.pending.bytes + cost.bytes > self.limits.max_raw_bytes)
    }

    fn count(&mut self, seq: u64, last_seq: u64, cost: &Cost) {
        self.pending.count(seq, last_seq, cost.points, cost.bytes);
        self.last_seq = last_seq;
    }

    fn push_row(&mut self, seq: u64, step: i64, time_ms: i64, keyset: u32, values: &[f64]) -> Result<Push, BatchError> {
        let names = self.dictionary.keyset(keyset)?;
        if names.len() != values.len() {
            return Err(BatchError::malformed(format_args!("a row of key set {keyset} has {} values", values.len())));
        }
        let mut bytes = bound::ROW + 8 * values.len();
        if !self.pending.has_dense(keyset) {
            if !self.dictionary.can_send_keyset(keyset, names.len()) {
                let names = names.to_vec();
                return self.push_sparse(seq, step, time_ms, &names, values);
            }
            bytes += bound::SECTION + (bound::COLUMN + bound::KEY) * names.len();
            for &name in names {
                bytes += self.dictionary.name_cost(name)?;
            }
        }
        let cost = Cost { points: values.len(), bytes };
        if self.is_full(&cost) {
            return Ok(Push::Full { taken: 0 });
        }
        let section = match self.pending.dense(keyset) {
            Some(section) => section,
            None => self.pending.add_dense(keyset, values.len()),
        };
        section.rows.push(seq, step, time_ms);
        section.values.extend_from_slice(values);
        self.count(seq, seq, &cost);
        Ok(Push::Taken)
    }

    fn push_sparse(
        &mut self,
        seq: u64,
        step: i64,
        time_ms: i64,
        names: &[u32],
        values: &[f64],
    ) -> Result<Push, BatchError> {
        if names.len() != values.len() || values.is_empty() {
            return Err(BatchError::malformed("a sparse row has no points, or other numbers of names than of values"));
        }
        let mut bytes = bound::ROW + bound::SPARSE_POINT * values.len();
        if self.pending.sparse.rows.len() == 0 {
            bytes += bound::SECTION;
        }
        for &name in names {
            bytes += self.dictionary.name_cost(name)?;
        }
        let cost = Cost { points: values.len(), bytes };
        if self.is_full(&cost) {
            return Ok(Push::Full { taken: 0 });
        }
        for &name in names {
            if !self.dictionary.use_once(name, seq) {
                return Err(BatchError::malformed(format_args!("the row of sequence {seq} has name {name} twice")));
            }
        }
        let sparse = &mut self.pending.sparse;
        sparse.rows.push(seq, step, time_ms);
        sparse.lens.push(values.len() as u32);
        sparse.names.extend_from_slice(names);
        sparse.values.extend_from_slice(values);
        self.count(seq, seq, &cost);
        Ok(Push::Taken)
    }

    fn push_array(
        &mut self,
        first_seq: u64,
        time_ms: i64,
        name: u32,
        steps: &[i64],
        values: &[f64],
    ) -> Result<Push, BatchError> {
        let fixed = bound::SECTION + 2 * bound::COLUMN + self.dictionary.name_cost(name)?;
        let used = bound::BATCH + self.pending.bytes + fixed;
        let room = (self.limits.max_points.saturating_sub(self.pending.points))
            .min(self.limits.max_raw_bytes.saturating_sub(used) / bound::ARRAY_POINT)
            .max(usize::from(self.pending.is_empty()));
        let taken = room.min(values.len());
        if taken == 0 {
            return Ok(Push::Full { taken });
        }
        let (steps, rest) = (steps[..taken].to_vec(), values.len() - taken);
        let values = values[..taken].to_vec();
        self.pending.arrays.push(ArraySlice { name, first_seq, time_ms, steps, values });
        let cost = Cost { points: taken, bytes: fixed + bound::ARRAY_POINT * taken };
        self.count(first_seq, first_seq + taken as u64 - 1, &cost);
        Ok(if rest == 0 { Push::Taken } else { Push::Full { taken } })
    }
}
