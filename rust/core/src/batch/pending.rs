//! The records that wait to be encoded, as they came: row-major, by section.

/// Rows of one key set.
#[derive(Debug, Default)]
pub(super) struct DenseRows {
    pub keyset: u32,
    pub width: usize,
    pub rows: Rows,
    /// Row after row.
    pub values: Vec<f64>,
}

/// Rows with name ids of their own.
#[derive(Debug, Default)]
pub(super) struct SparseRows {
    pub rows: Rows,
    /// How many points each row has.
    pub lens: Vec<u32>,
    /// Name id and value of each point, row after row.
    pub names: Vec<u32>,
    pub values: Vec<f64>,
}

/// A slice of a bulk array.
#[derive(Debug)]
pub(super) struct ArraySlice {
    pub name: u32,
    pub first_seq: u64,
    pub time_ms: i64,
    pub steps: Vec<i64>,
    pub values: Vec<f64>,
}

/// Sequence, step and time of each row.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub seqs: Vec<u64>,
    pub steps: Vec<i64>,
    pub times: Vec<i64>,
}

impl Rows {
    pub fn push(&mut self, seq: u64, step: i64, time_ms: i64) {
        self.seqs.push(seq);
        self.steps.push(step);
        self.times.push(time_ms);
    }

    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    pub fn clear(&mut self) {
        self.seqs.clear();
        self.steps.clear();
        self.times.clear();
    }
}

/// Everything that waits. Buffers of dense sections are kept from batch to batch, because call sites repeat.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub first_seq: u64,
    pub last_seq: u64,
    pub points: usize,
    /// Upper bound of the encoded size.
    pub bytes: usize,
    pub dense: Vec<DenseRows>,
    /// Section of each key set, by the id of the spool; rows are mostly those of the key set before.
    slots: Vec<u32>,
    pub sparse: SparseRows,
    pub arrays: Vec<ArraySlice>,
}

const NO_SLOT: u32 = u32::MAX;
/// Sections whose buffers are kept when they hold nothing.
const KEPT: usize = 16;

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// The section of a key set, if rows of it wait.
    pub fn dense(&mut self, keyset: u32) -> Option<&mut DenseRows> {
        let slot = *self.slots.get(keyset as usize)?;
        self.dense.get_mut(slot as usize)
    }

    pub fn add_dense(&mut self, keyset: u32, width: usize) -> &mut DenseRows {
        let at = keyset as usize;
        if self.slots.len() <= at {
            self.slots.resize(at + 1, NO_SLOT);
        }
        self.slots[at] = self.dense.len() as u32;
        self.dense.push(DenseRows { keyset, width, ..Default::default() });
        let last = self.dense.len() - 1;
        &mut self.dense[last]
    }

    /// True when the key set has rows that wait.
    pub fn has_dense(&self, keyset: u32) -> bool {
        let slot = self.slots.get(keyset as usize).and_then(|&slot| self.dense.get(slot as usize));
        slot.is_some_and(|section| section.rows.len() > 0)
    }

    pub fn count(&mut self, first_seq: u64, last_seq: u64, points: usize, bytes: usize) {
        if self.is_empty() {
            self.first_seq = first_seq;
        }
        self.last_seq = last_seq;
        self.points += points;
        self.bytes += bytes;
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        (self.points, self.bytes) = (0, 0);
        if self.dense.len() > KEPT {
            self.dense.clear();
            self.slots.clear();
        }
        for section in &mut self.dense {
            section.rows.clear();
            section.values.clear();
        }
        self.sparse.rows.clear();
        self.sparse.lens.clear();
        self.sparse.names.clear();
        self.sparse.values.clear();
        self.arrays.clear();
    }
}
