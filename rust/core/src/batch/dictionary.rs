//! The writer's side of definitions: what the spool has defined, and which of it this stream has been sent.

use super::format::{MAX_KEYSETS, MAX_KEYSET_NAMES};
use super::BatchError;
use crate::codec::varint::{put_i64, put_u64};

/// Numbers that the spool gives are small and dense; larger ones are damage.
const MAX_ID: u32 = 1 << 24;

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// The number on this stream, once it was sent.
    number: Option<u32>,
    /// The last sequence of a sparse row that used the name.
    used: u64,
}

#[derive(Debug)]
struct KeySet {
    names: Box<[u32]>,
    number: Option<u32>,
}

/// Names and key sets by the ids of the spool.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: Vec<Option<Name>>,
    keysets: Vec<Option<KeySet>>,
    sent: Sent,
}

/// What the stream has, and what the batch in the making brings.
#[derive(Debug, Default)]
struct Sent {
    names: u32,
    keysets: u32,
    keyset_names: usize,
    new_names: Vec<u32>,
    new_keysets: Vec<u32>,
}

fn slot<T>(table: &mut Vec<Option<T>>, id: u32) -> Result<&mut Option<T>, BatchError> {
    if id >= MAX_ID {
        return Err(BatchError::limit(format_args!("the definition {id} is beyond {MAX_ID}")));
    }
    let id = id as usize;
    if table.len() <= id {
        table.resize_with(id + 1, || None);
    }
    Ok(&mut table[id])
}

impl Dictionary {
    pub fn define_name(&mut self, id: u32, text: &str) -> Result<(), BatchError> {
        let slot = slot(&mut self.names, id)?;
        match slot {
            None => *slot = Some(Name { text: text.into(), number: None, used: 0 }),
            Some(name) if *name.text == *text => {}
            Some(_) => return Err(BatchError::malformed(format_args!("name {id} is defined anew as {text:?}"))),
        }
        Ok(())
    }

    pub fn define_keyset(&mut self, id: u32, names: &[u32]) -> Result<(), BatchError> {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        if names.is_empty() || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BatchError::malformed(format_args!("key set {id} is empty or holds a name twice")));
        }
        for &name in names {
            self.name(name)?;
        }
        let slot = slot(&mut self.keysets, id)?;
        match slot {
            None => *slot = Some(KeySet { names: names.into(), number: None }),
            Some(keyset) if *keyset.names == *names => {}
            Some(_) => return Err(BatchError::malformed(format_args!("key set {id} is defined anew"))),
        }
        Ok(())
    }

    fn name(&self, id: u32) -> Result<&Name, BatchError> {
        let name = self.names.get(id as usize).and_then(Option::as_ref);
        name.ok_or_else(|| BatchError::unknown(format_args!("name {id} is not defined")))
    }

    /// The names of a key set.
    pub fn keyset(&self, id: u32) -> Result<&[u32], BatchError> {
        let keyset = self.keysets.get(id as usize).and_then(Option::as_ref);
        let keyset = keyset.ok_or_else(|| BatchError::unknown(format_args!("key set {id} is not defined")))?;
        Ok(&keyset.names)
    }

    /// True when the stream has the key set or may be given another one.
    pub fn can_send_keyset(&self, id: u32, len: usize) -> bool {
        let known = self.keysets.get(id as usize).and_then(Option::as_ref).is_some_and(|k| k.number.is_some());
        let room = (self.sent.keysets as usize) < MAX_KEYSETS && self.sent.keyset_names + len <= MAX_KEYSET_NAMES;
        known || room
    }

    /// The most bytes that the definition of a name takes in the batch: zero when it was sent.
    pub fn name_cost(&self, id: u32) -> Result<usize, BatchError> {
        let name = self.name(id)?;
        Ok(if name.number.is_some() { 0 } else { name.text.len() + 3 })
    }

    /// Marks a name as used by the sparse row `seq`; false when that row had it already.
    pub fn use_once(&mut self, id: u32, seq: u64) -> bool {
        match self.names.get_mut(id as usize) {
            Some(Some(name)) => std::mem::replace(&mut name.used, seq) != seq,
            _ => false,
        }
    }

    /// The number of a name on the stream; a new one makes the batch bring it.
    pub fn name_number(&mut self, id: u32) -> Result<u32, BatchError> {
        let Some(Some(name)) = self.names.get_mut(id as usize) else {
            return Err(BatchError::unknown(format_args!("name {id} is not defined")));
        };
        let sent = &mut self.sent;
        Ok(*name.number.get_or_insert_with(|| {
            sent.new_names.push(id);
            sent.names += 1;
            sent.names - 1
        }))
    }

    /// The number of a key set on the stream; a new one makes the batch bring it and its names.
    pub fn keyset_number(&mut self, id: u32) -> Result<u32, BatchError> {
        let keyset = self.keysets.get_mut(id as usize).and_then(Option::as_mut);
        let keyset = keyset.ok_or_else(|| BatchError::unknown(format_args!("key set {id} is not defined")))?;
        if let Some(number) = keyset.number {
            return Ok(number);
        }
        let number = self.sent.keysets;
        keyset.number = Some(number);
        let names = keyset.names.clone();
        self.sent.keysets += 1;
        self.sent.keyset_names += names.len();
        self.sent.new_keysets.push(id);
        for &name in &names {
            self.name_number(name)?;
        }
        Ok(number)
    }

    /// Writes what the batch brings; from here on it counts as sent.
    pub fn write_new(&mut self, meta: &mut Vec<u8>) -> Result<(), BatchError> {
        let (names, keysets) = (std::mem::take(&mut self.sent.new_names), std::mem::take(&mut self.sent.new_keysets));
        put_u64(meta, names.len() as u64);
        for id in names {
            let text = self.name(id)?.text.as_bytes();
            put_u64(meta, text.len() as u64);
            meta.extend_from_slice(text);
        }
        put_u64(meta, keysets.len() as u64);
        for id in keysets {
            let names = self.keyset(id)?;
            put_u64(meta, names.len() as u64);
            let mut expected = 0i64;
            for &name in names {
                let number = self.name(name)?.number.map_or(0, i64::from);
                put_i64(meta, number - expected);
                expected = number + 1;
            }
        }
        Ok(())
    }

    /// Nothing counts as sent any more.
    pub fn restart(&mut self) {
        self.sent = Sent::default();
        for name in self.names.iter_mut().flatten() {
            name.number = None;
        }
        for keyset in self.keysets.iter_mut().flatten() {
            keyset.number = None;
        }
    }
}
