//! The first 64 bytes of a segment.

use crate::id::WriterId;

pub(super) const HEADER_BYTES: usize = 64;
/// Version 1 is frozen by tests/fixtures/spool/v1.seg.
pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"STEPSPOL";
const CRC_AT: usize = 60;

/// Says whose segment this is and where its sequences and ordinals begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub writer: WriterId,
    pub index: u32,
    /// The sequence that the first row of the segment has, or would have.
    pub first_seq: u64,
    /// The same for control records.
    pub first_control: u64,
    pub created_ms: i64,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0u8; HEADER_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.index.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.writer.0);
        bytes[32..40].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_control.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.created_ms.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, or what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, &'static str> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or("the header is cut off")?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if &bytes[..8] != MAGIC {
            return Err("it does not begin like a segment");
        }
        if u32_at(CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT]) {
            return Err("the checksum of the header does not fit");
        }
        if u32_at(8) != FORMAT_VERSION {
            return Err("the segment has another format version; update stepline");
        }
        if u64_at(32) == 0 || u64_at(40) == 0 {
            return Err("the header begins before the first sequence");
        }
        let mut writer = [0u8; 16];
        writer.copy_from_slice(&bytes[16..32]);
        Ok(SegmentHeader {
            writer: WriterId(writer),
            index: u32_at(12),
            first_seq: u64_at(32),
            first_control: u64_at(40),
            created_ms: u64_at(48) as i64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_seen() {
        let header = SegmentHeader {
            writer: WriterId([7; 16]),
            index: 3,
            first_seq: u64::MAX - 1,
            first_control: 9,
            created_ms: -5,
        };
        let good = header.encode();
        assert_eq!(SegmentHeader::decode(&good), Ok(header));
        assert!(SegmentHeader::decode(&good[..63]).is_err());
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad).is_err(), "bit {bit}");
        }
    }
}
