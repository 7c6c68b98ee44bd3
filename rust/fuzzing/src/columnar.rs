//! Foreign bytes as the batches of one stream.
//!
//! Input: u16 length, so many bytes, and so on; each is what follows the checksum of a batch. Header and checksum are put in front,
//! and the envelope says what the bytes say, so that everything behind them is reached. A length with its highest bit set leaves the
//! bytes as they are.

use stepline_core::batch::StreamDecoder;
use stepline_core::codec::varint::Reader;

use crate::judge::{self, LIMITS, MEMORY};
use crate::memory::bounded;

pub fn run(data: &[u8]) {
    let mut decoder = StreamDecoder::new(LIMITS);
    let mut rest = data;
    // A stream of more batches finds nothing that a few do not find.
    for _ in 0..8 {
        let [low, high, tail @ ..] = rest else { return };
        let raw = high & 0x80 != 0;
        let length = usize::from(u16::from_le_bytes([*low, high & 0x7f])).min(tail.len());
        let (body, tail) = tail.split_at(length);
        rest = tail;
        let bytes = if raw { body.to_vec() } else { sealed(body) };
        let (first, last) = bytes.get(6..).and_then(envelope).unwrap_or((1, 1));
        if let Ok(batch) = bounded(MEMORY, || decoder.decode(first, last, &bytes)) {
            judge::accepted(&batch);
        }
    }
}

/// A version 1 batch around `body`.
pub fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0];
    bytes.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The sequences that the body of a batch claims.
fn envelope(body: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader::new(body);
    let first = reader.u64("first").ok()?;
    Some((first, first.checked_add(reader.u64("span").ok()?)?))
}
