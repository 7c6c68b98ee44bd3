//! Which sequences of a batch have been seen: each exactly once, in the end.

use super::decoded::Seqs;
use super::BatchError;

/// A bit for each sequence from `first` to `last`.
#[derive(Debug)]
pub(super) struct Coverage {
    first: u64,
    count: u64,
    seen: u64,
    bits: Vec<u64>,
}

impl Coverage {
    /// The caller has checked that `count`, the sequences from `first`, keeps its limits.
    pub fn new(first: u64, count: usize) -> Self {
        Coverage { first, count: count as u64, seen: 0, bits: vec![0; count.div_ceil(64)] }
    }

    /// Marks the sequences of `rows` rows.
    pub fn add(&mut self, seqs: &Seqs, rows: usize) -> Result<(), BatchError> {
        match seqs {
            Seqs::From(first) => (0..rows as u64).try_for_each(|i| self.mark(first.wrapping_add(i))),
            Seqs::List(seqs) => seqs.iter().try_for_each(|&seq| self.mark(seq)),
        }
    }

    fn mark(&mut self, seq: u64) -> Result<(), BatchError> {
        let at = seq.wrapping_sub(self.first);
        if at >= self.count {
            return Err(BatchError::sequence(format_args!("sequence {seq} is outside its batch")));
        }
        let (word, bit) = ((at / 64) as usize, 1u64 << (at % 64));
        if self.bits[word] & bit != 0 {
            return Err(BatchError::sequence(format_args!("sequence {seq} is there twice")));
        }
        self.bits[word] |= bit;
        self.seen += 1;
        Ok(())
    }

    /// Every sequence was seen. With no double and none outside, counting them is enough.
    pub fn check_complete(&self) -> Result<(), BatchError> {
        if self.seen != self.count {
            let missing = self.count - self.seen;
            return Err(BatchError::sequence(format_args!("{missing} sequences of the batch are missing")));
        }
        Ok(())
    }
}
