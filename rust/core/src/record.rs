//! One record: what a call in the trainer becomes, in the spool and on the way into a batch.
//!
//! Sequences belong to rows, not to records: a `Row` or `Sparse` record takes one, an `Array` of n points takes n, in the order of
//! its elements. They are contiguous from 1 within a writer, so (writer, seq, metric) names one point for ever, a batch is a range of
//! them, and of two points with the same step the one with the higher sequence was logged later.
//!
//! Definitions (`Name`, `KeySet`) and `Control` take no sequence. Definitions are repeated in every segment that uses them.

/// A record that borrows its columns from where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record<'a> {
    /// Gives a metric name its number within the spool.
    Name { id: u32, name: &'a str },
    /// Gives a list of names, in the order of the dict that was logged, its number within the spool.
    KeySet { id: u32, names: &'a [u32] },
    /// One `log()` call whose keys are a known key set; one value a key.
    Row { seq: u64, time_ms: i64, step: i64, keyset: u32, values: &'a [f64] },
    /// One `log()` call with its name ids beside the values: for keys that change from call to call.
    Sparse { seq: u64, time_ms: i64, step: i64, names: &'a [u32], values: &'a [f64] },
    /// One `log_array()` call: n points of one metric, sequences `seq .. seq + n`.
    Array { seq: u64, time_ms: i64, name: u32, steps: &'a [i64], values: &'a [f64] },
    /// A JSON object for the run itself: `{"update": {..}}`, `{"finish": {..}}` or `{"gap": {..}}`. Ordinals are contiguous from 1.
    Control { ordinal: u64, json: &'a str },
}

impl Record<'_> {
    /// The sequences that this record takes: (first, last), or None for records without points.
    pub fn seqs(&self) -> Option<(u64, u64)> {
        match *self {
            Record::Row { seq, .. } | Record::Sparse { seq, .. } => Some((seq, seq)),
            Record::Array { seq, values, .. } => {
                Some((seq, seq.saturating_add((values.len() as u64).saturating_sub(1))))
            }
            Record::Name { .. } | Record::KeySet { .. } | Record::Control { .. } => None,
        }
    }
}
