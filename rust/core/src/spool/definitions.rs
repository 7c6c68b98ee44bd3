//! The definitions that a segment needs before a record can use them.

use std::sync::Arc;

use super::frame::{self, framed, Frame};
use super::writer::SpoolWriter;
use crate::record::Record;

/// The definitions that a record needs in its segment.
#[derive(Clone, Copy)]
pub(super) enum Uses<'a> {
    Nothing,
    Names(&'a [u32]),
    KeySet(u32),
}

impl SpoolWriter {
    /// Bytes of the definitions that segment `index` lacks; all of them for segment 0, which does not exist.
    pub(super) fn definition_bytes(&self, uses: Uses<'_>, index: u32) -> usize {
        let names = |ids: &[u32]| {
            self.dictionary.undefined(ids, index).map(|(_, name)| framed(frame::name_body(name.len()))).sum::<usize>()
        };
        match uses {
            Uses::Nothing => 0,
            Uses::Names(ids) if index == 0 => {
                ids.iter().filter_map(|id| self.name(*id)).map(|n| framed(frame::name_body(n.len()))).sum()
            }
            Uses::Names(ids) => names(ids),
            Uses::KeySet(id) => match self.dictionary.keyset(id) {
                Some(entry) if index == 0 || entry.segment != index => {
                    self.definition_bytes(Uses::Names(&entry.content), index)
                        + framed(frame::keyset_body(entry.content.len()))
                }
                _ => 0,
            },
        }
    }

    /// Writes what the segment lacks. False when the disk has no room after all.
    pub(super) fn define(&mut self, uses: Uses<'_>) -> bool {
        let index = self.segment.index();
        match uses {
            Uses::Nothing => true,
            Uses::Names(ids) => ids.iter().all(|id| self.define_name(*id, index)),
            Uses::KeySet(id) => match self.dictionary.keyset(id) {
                Some(entry) if entry.segment != index => {
                    let names = Arc::clone(&entry.content);
                    let done = names.iter().all(|name| self.define_name(*name, index))
                        && self.append(&Frame::new(&Record::KeySet { id, names: &names }));
                    if let (true, Some(entry)) = (done, self.dictionary.keyset_mut(id)) {
                        entry.segment = index;
                    }
                    done
                }
                _ => true,
            },
        }
    }

    fn define_name(&mut self, id: u32, index: u32) -> bool {
        let name = match self.dictionary.name_mut(id) {
            Some(entry) if entry.segment != index => {
                // When the append fails, the segment takes nothing more.
                entry.segment = index;
                Arc::clone(&entry.content)
            }
            _ => return true,
        };
        self.append(&Frame::new(&Record::Name { id, name: &name }))
    }
}
