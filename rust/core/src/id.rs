//! Identities: the 128-bit id of a writer and the 64-bit ids under which the store keeps names.

use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use siphasher::sip::SipHasher24;

/// The id of one process incarnation. Its first 48 bits are the milliseconds at its start (UUIDv7), so that the writers of a rank
/// sort in the order in which they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId(pub [u8; 16]);

impl WriterId {
    /// Makes an id from the wall clock and 80 random bits.
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        WriterId(bytes)
    }

    /// Makes an id from the wall clock and the system's random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut random = [0u8; 10];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(WriterId::new(since_epoch.as_millis() as u64, random))
    }

    /// 32 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0u8; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(WriterId(bytes))
    }
}

/// SipHash-2-4 with a zero key: equals ClickHouse's `sipHash64(text)`.
pub fn siphash64(text: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(0, 0);
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_ids_sort_by_time() {
        let early = WriterId::new(1_000, [0xff; 10]);
        let late = WriterId::new(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!(WriterId::from_hex(&late.to_hex()), Some(late));
        assert_eq!(WriterId::from_hex("zz"), None);
    }
}
