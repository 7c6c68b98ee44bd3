//! What must hold from record to record: sequences without holes, names defined before they are used.

use std::collections::{HashMap, HashSet};

use crate::record::Record;

/// The state of a walk through the records of one writer.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The next sequence and the next ordinal.
    next: Option<(u64, u64)>,
    names: HashSet<u32>,
    /// How many names each key set has.
    keysets: HashMap<u32, usize>,
}

impl Continuity {
    /// Begins a segment: definitions start anew, and its header says where its sequences begin. Gives what was expected there, when
    /// that is something else.
    pub fn enter(&mut self, first_seq: u64, first_control: u64) -> Option<(u64, u64)> {
        self.names.clear();
        self.keysets.clear();
        let expected = self.next.replace((first_seq, first_control));
        expected.filter(|next| *next != (first_seq, first_control))
    }

    /// Nothing up to these will come.
    pub fn pass(&mut self, (seq, control): (u64, u64)) {
        let next = self.next.unwrap_or((1, 1));
        self.next = Some((next.0.max(seq + 1), next.1.max(control + 1)));
    }

    /// The next sequence and ordinal; None before the first segment.
    pub fn next(&self) -> Option<(u64, u64)> {
        self.next
    }

    /// Takes the next record, or says what is wrong with it.
    pub fn accept(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let (next_seq, next_control) = self.next.unwrap_or((1, 1));
        match *record {
            Record::Name { id, .. } => {
                self.names.insert(id);
            }
            Record::KeySet { id, names } => {
                self.check_names(names)?;
                self.keysets.insert(id, names.len());
            }
            Record::Row { keyset, values, .. } => {
                if self.keysets.get(&keyset) != Some(&values.len()) {
                    return Err("a row does not fit its key set");
                }
            }
            Record::Sparse { names, .. } => self.check_names(names)?,
            Record::Array { name, .. } => self.check_names(&[name])?,
            Record::Control { ordinal, .. } => {
                if ordinal != next_control {
                    return Err("a control record is missing");
                }
                self.next = Some((next_seq, next_control.saturating_add(1)));
            }
        }
        if let Some((first, last)) = record.seqs() {
            if first != next_seq {
                return Err("a sequence is missing");
            }
            self.next = Some((last.saturating_add(1), next_control));
        }
        Ok(())
    }

    fn check_names(&self, names: &[u32]) -> Result<(), &'static str> {
        if names.iter().all(|id| self.names.contains(id)) {
            Ok(())
        } else {
            Err("a name is used before it is defined")
        }
    }
}
