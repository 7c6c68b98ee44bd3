//! Remembers the keys of earlier calls, so that the next call with the same keys need not read them.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;
use stepline_core::spool::SpoolWriter;

const BUCKETS: usize = 64;
/// Call sites that share a bucket; the one that was made longest ago makes room.
const BUCKET_SITES: usize = 8;
/// The same keys as other objects: a few call sites, or keys that are made anew at each call. Of those only some are kept.
const LEARN_FIRST: u32 = 4;
const LEARN_EVERY: u32 = 64;

/// The key objects of a dict, in its order, and the key set that they name.
#[derive(Debug)]
pub struct Site {
    /// Held, so that an equal address is an equal object. Exact strings, which cannot change.
    keys: Box<[Py<PyString>]>,
    pub keyset: u32,
}

impl Site {
    #[inline]
    pub fn key(&self, i: usize) -> Option<*mut pyo3::ffi::PyObject> {
        self.keys.get(i).map(Py::as_ptr)
    }

    fn begins_like(&self, other: &Site, count: usize) -> bool {
        self.keys[..count].iter().zip(&other.keys[..count]).all(|(a, b)| a.as_ptr() == b.as_ptr())
    }
}

#[derive(Debug)]
pub struct KeyMemory {
    buckets: Vec<Vec<Site>>,
    /// The key set that was used last of those with so many names.
    by_length: HashMap<usize, u32>,
    misses: HashMap<u32, u32>,
}

impl Default for KeyMemory {
    fn default() -> Self {
        KeyMemory {
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            by_length: HashMap::new(),
            misses: HashMap::new(),
        }
    }
}

impl KeyMemory {
    /// The sites of dicts with so many keys and this first key object: begin with the first of them.
    #[inline]
    pub fn sites(&self, length: usize, first: *mut pyo3::ffi::PyObject) -> Sites<'_> {
        let bucket = self.buckets.get(bucket(length, first)).map_or(&[][..], Vec::as_slice);
        Sites { bucket, length, first, at: 0 }
    }

    /// The key set of these names, in this order, by their content. `keys` are the objects that hold them, if each name is one.
    pub fn resolve(
        &mut self,
        spool: &SpoolWriter,
        names: &[&str],
        keys: Option<&[Bound<'_, PyString>]>,
    ) -> Option<u32> {
        if let Some(site) = keys.and_then(|keys| self.find(keys)) {
            return Some(site);
        }
        let keyset = *self.by_length.get(&names.len())?;
        let ids = spool.keyset(keyset)?;
        let equal = ids.iter().zip(names).all(|(id, name)| spool.name(*id) == Some(*name));
        equal.then(|| {
            self.learn(keyset, keys);
            keyset
        })
    }

    fn find(&self, keys: &[Bound<'_, PyString>]) -> Option<u32> {
        let first = keys.first()?.as_ptr();
        let same = |site: &&Site| site.keys.iter().zip(keys).all(|(held, key)| held.as_ptr() == key.as_ptr());
        self.sites(keys.len(), first).find(same).map(|site| site.keyset)
    }

    /// Remembers that these keys name this key set.
    pub fn learn(&mut self, keyset: u32, keys: Option<&[Bound<'_, PyString>]>) {
        let Some(keys) = keys else { return };
        let Some(first) = keys.first() else { return };
        self.by_length.insert(keys.len(), keyset);
        let misses = self.misses.entry(keyset).or_insert(0);
        *misses = misses.wrapping_add(1);
        if *misses > LEARN_FIRST && !misses.is_multiple_of(LEARN_EVERY) {
            return;
        }
        if let Some(bucket) = self.buckets.get_mut(bucket(keys.len(), first.as_ptr())) {
            if bucket.len() >= BUCKET_SITES {
                bucket.remove(0);
            }
            bucket.push(Site { keys: keys.iter().map(|key| key.clone().unbind()).collect(), keyset });
        }
    }
}

fn bucket(length: usize, first: *mut pyo3::ffi::PyObject) -> usize {
    // Objects lie at multiples of 16.
    ((first as usize >> 4) ^ (first as usize >> 12) ^ length.wrapping_mul(31)) % BUCKETS
}

/// The candidates for a dict.
#[derive(Clone, Copy)]
pub struct Sites<'a> {
    bucket: &'a [Site],
    length: usize,
    first: *mut pyo3::ffi::PyObject,
    at: usize,
}

impl<'a> Iterator for Sites<'a> {
    type Item = &'a Site;

    #[inline]
    fn next(&mut self) -> Option<&'a Site> {
        loop {
            let site = self.bucket.get(self.at)?;
            self.at += 1;
            if site.keys.len() == self.length && site.key(0) == Some(self.first) {
                return Some(site);
            }
        }
    }
}

impl<'a> Sites<'a> {
    /// Another site that has the first `count` keys of `site` and then `key`.
    #[cold]
    pub fn another(&mut self, site: &Site, count: usize, key: *mut pyo3::ffi::PyObject) -> Option<&'a Site> {
        self.find(|other| other.begins_like(site, count) && other.key(count) == Some(key))
    }
}
