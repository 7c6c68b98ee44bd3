//! The reader's side of definitions: the names and key sets of one stream, by the numbers in which they came.

use std::collections::HashMap;
use std::sync::Arc;

use super::format::{MAX_KEYSETS, MAX_KEYSET_NAMES};
use super::{BatchError, DecodeLimits};
use crate::codec::varint::Reader;
use crate::id::siphash64;

/// Names are kept as their 64-bit ids; their text goes to the store once, with the batch that brought it.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    names: Vec<u64>,
    keysets: Vec<Arc<[u64]>>,
    keyset_names: usize,
    /// Every id that the stream has seen, and whether it has a number: names of plain batches have none.
    known: HashMap<u64, bool>,
}

/// Where the definitions stood before a batch, to go back there when it turns out bad.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    names: usize,
    keysets: usize,
    keyset_names: usize,
}

type NewMetrics = Vec<(u64, Arc<str>)>;

impl Definitions {
    pub fn mark(&self) -> Mark {
        Mark { names: self.names.len(), keysets: self.keysets.len(), keyset_names: self.keyset_names }
    }

    /// Forgets what came after the mark. `new` are the metrics that came since.
    pub fn roll_back(&mut self, mark: Mark, new: &NewMetrics) {
        for id in self.names.drain(mark.names..) {
            self.known.insert(id, false);
        }
        for (id, _) in new {
            self.known.remove(id);
        }
        self.keysets.truncate(mark.keysets);
        self.keyset_names = mark.keyset_names;
    }

    /// Forgets metrics that a batch brought and that are not stored; those that have a number stay.
    pub fn forget(&mut self, new: &NewMetrics) {
        for (id, _) in new {
            if self.known.get(id) == Some(&false) {
                self.known.remove(id);
            }
        }
    }

    pub fn name(&self, number: u64) -> Result<u64, BatchError> {
        let name = usize::try_from(number).ok().and_then(|i| self.names.get(i));
        name.copied().ok_or_else(|| BatchError::unknown(format_args!("name {number} is not defined")))
    }

    pub fn keyset(&self, number: u64) -> Result<Arc<[u64]>, BatchError> {
        let keyset = usize::try_from(number).ok().and_then(|i| self.keysets.get(i));
        keyset.cloned().ok_or_else(|| BatchError::unknown(format_args!("key set {number} is not defined")))
    }

    /// Reads the names and key sets that a batch of so many points brings. Those that the stream had not seen in any encoding are
    /// added to `new`. A batch uses what it brings, so it brings no more names, alone or in key sets, than it has points.
    pub fn read(
        &mut self,
        meta: &mut Reader<'_>,
        points: usize,
        limits: &DecodeLimits,
        new: &mut NewMetrics,
    ) -> Result<(), BatchError> {
        let names = meta.u64("the number of names")?;
        if names > points as u64 {
            return Err(BatchError::malformed("the batch defines more names than it has points"));
        }
        for _ in 0..names {
            let len = meta.u64("a name")?;
            if len > limits.max_name_bytes as u64 {
                return Err(name_too_long(len, limits));
            }
            let text = std::str::from_utf8(meta.take(len as usize, "a name")?);
            let text = text.map_err(|_| BatchError::malformed("a name is not valid UTF-8"))?;
            let id = self.add(text, limits, new)?;
            if self.known.insert(id, true) == Some(true) {
                return Err(BatchError::malformed(format_args!("the name {text:?} is defined twice")));
            }
            self.names.push(id);
        }
        let mut left = points;
        for _ in 0..meta.u64("the number of key sets")? {
            let keyset = self.read_keyset(meta, left)?;
            left -= keyset.len();
            self.keysets.push(keyset);
        }
        Ok(())
    }

    fn read_keyset(&mut self, meta: &mut Reader<'_>, most: usize) -> Result<Arc<[u64]>, BatchError> {
        let len = meta.u64("a key set")?;
        if len == 0 || len > most as u64 {
            return Err(BatchError::malformed("a key set is empty or larger than its batch"));
        }
        let len = len as usize;
        self.keyset_names += len;
        if self.keysets.len() >= MAX_KEYSETS || self.keyset_names > MAX_KEYSET_NAMES {
            return Err(BatchError::limit(format_args!(
                "the stream has more than {MAX_KEYSETS} key sets or {MAX_KEYSET_NAMES} names in them"
            )));
        }
        let mut ids = Vec::with_capacity(len);
        let mut number = -1i64;
        for _ in 0..len {
            // The distance from the number after the last one: zeros for names that were defined together.
            number = number.wrapping_add(1).wrapping_add(meta.i64("a key set")?);
            ids.push(self.name(number as u64)?);
        }
        check_distinct(&ids)?;
        Ok(ids.into())
    }

    /// Adds a name that a batch brings, and returns its id.
    pub fn add(&mut self, text: &str, limits: &DecodeLimits, new: &mut NewMetrics) -> Result<u64, BatchError> {
        if text.len() > limits.max_name_bytes {
            return Err(name_too_long(text.len() as u64, limits));
        }
        if text.is_empty() || text.contains('\0') {
            return Err(BatchError::malformed("a name is empty or holds a NUL"));
        }
        let id = siphash64(text);
        if !self.known.contains_key(&id) {
            if self.known.len() >= limits.max_metrics {
                let what = format_args!("the stream has more than {} metrics", limits.max_metrics);
                return Err(BatchError::limit(what));
            }
            self.known.insert(id, false);
            new.push((id, text.into()));
        }
        Ok(id)
    }
}

fn name_too_long(len: u64, limits: &DecodeLimits) -> BatchError {
    BatchError::limit(format_args!("a name has {len} bytes, more than {}", limits.max_name_bytes))
}

fn check_distinct(ids: &[u64]) -> Result<(), BatchError> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(BatchError::malformed("a key set holds a name twice"));
    }
    Ok(())
}
