//! The names and key sets of one writer, their numbers, and in which segment each was defined last.

use std::collections::HashMap;
use std::sync::Arc;

/// More names than the service takes for a run are a mistake, such as a step number in the name.
pub(super) const MAX_NAMES: usize = 1_000_000;
/// Calls whose keys change all the time are cheaper as sparse records than as a key set each.
const MAX_KEYSETS: usize = 4_096;
/// The same limit in names, over all key sets: 16 MiB.
const MAX_KEYSET_NAMES: usize = 4 << 20;

/// No segment has this index.
const NOWHERE: u32 = 0;

#[derive(Debug)]
pub(super) struct Entry<T: ?Sized> {
    pub content: Arc<T>,
    /// The index of the last segment that holds the definition.
    pub segment: u32,
}

#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: Vec<Entry<str>>,
    name_ids: HashMap<Arc<str>, u32>,
    keysets: Vec<Entry<[u32]>>,
    keyset_ids: HashMap<Arc<[u32]>, u32>,
    keyset_names: usize,
}

impl Dictionary {
    /// The number of `name`; None when there are too many.
    pub fn name_id(&mut self, name: &str) -> Option<u32> {
        if let Some(id) = self.name_ids.get(name) {
            return Some(*id);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        let (content, id): (Arc<str>, u32) = (name.into(), self.names.len() as u32);
        self.name_ids.insert(Arc::clone(&content), id);
        self.names.push(Entry { content, segment: NOWHERE });
        Some(id)
    }

    /// The number of a list of known, different names; None when there are too many lists or the list is not one.
    pub fn keyset_id(&mut self, names: &[u32]) -> Option<u32> {
        if let Some(id) = self.keyset_ids.get(names) {
            return Some(*id);
        }
        let full = self.keysets.len() >= MAX_KEYSETS || self.keyset_names + names.len() > MAX_KEYSET_NAMES;
        if full || !self.are_known(names) {
            return None;
        }
        let (content, id): (Arc<[u32]>, u32) = (names.into(), self.keysets.len() as u32);
        self.keyset_ids.insert(Arc::clone(&content), id);
        self.keysets.push(Entry { content, segment: NOWHERE });
        self.keyset_names += names.len();
        Some(id)
    }

    pub fn are_known(&self, names: &[u32]) -> bool {
        names.iter().all(|id| (*id as usize) < self.names.len())
    }

    pub fn name(&self, id: u32) -> Option<&Entry<str>> {
        self.names.get(id as usize)
    }

    pub fn name_mut(&mut self, id: u32) -> Option<&mut Entry<str>> {
        self.names.get_mut(id as usize)
    }

    pub fn keyset(&self, id: u32) -> Option<&Entry<[u32]>> {
        self.keysets.get(id as usize)
    }

    pub fn keyset_mut(&mut self, id: u32) -> Option<&mut Entry<[u32]>> {
        self.keysets.get_mut(id as usize)
    }

    /// Of `names`, those that `segment` does not define.
    pub fn undefined<'a>(&'a self, names: &'a [u32], segment: u32) -> impl Iterator<Item = (u32, &'a str)> + 'a {
        names.iter().filter_map(move |id| {
            let entry = self.name(*id)?;
            (entry.segment != segment).then_some((*id, &*entry.content))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_has_the_same_number() {
        let mut dictionary = Dictionary::default();
        let (a, b) = (dictionary.name_id("a").unwrap(), dictionary.name_id("b").unwrap());
        assert_ne!(a, b);
        assert_eq!(dictionary.name_id("a"), Some(a));
        let forward = dictionary.keyset_id(&[a, b]);
        assert_ne!(forward, dictionary.keyset_id(&[b, a]));
        assert_eq!(forward, dictionary.keyset_id(&[a, b]));
        assert_eq!(dictionary.keyset_id(&[a, 99]), None);
    }

    #[test]
    fn there_is_an_end_to_key_sets() {
        let mut dictionary = Dictionary::default();
        let ids: Vec<u32> = (0..5_000).map(|i| dictionary.name_id(&i.to_string()).unwrap()).collect();
        let made = ids.iter().filter(|id| dictionary.keyset_id(&[**id]).is_some()).count();
        assert_eq!(made, MAX_KEYSETS);
    }
}
