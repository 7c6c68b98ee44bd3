//! Fixed-width unsigned integers, packed without gaps, lowest bit first.

/// Widest integer that is packed.
pub const MAX_WIDTH: u32 = 56;

/// Appends to a stream of bits.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    acc: u64,
    used: u32,
}

impl BitWriter {
    /// Appends the low `width` bits of each value; the higher ones must be zero, and `width <= MAX_WIDTH`.
    #[inline]
    pub fn pack(&mut self, values: impl Iterator<Item = u64>, width: u32) {
        debug_assert!(width <= MAX_WIDTH);
        if width == 0 {
            return;
        }
        let (mut acc, mut used) = (self.acc, self.used);
        for value in values {
            acc |= value << used;
            used += width;
            if used >= 64 {
                self.bytes.extend_from_slice(&acc.to_le_bytes());
                used -= 64;
                // `used < width` bits of the value did not fit.
                acc = value >> (width - used);
            }
        }
        (self.acc, self.used) = (acc, used);
    }

    pub fn reserve(&mut self, bits: usize) {
        self.bytes.reserve(bits / 8 + 16);
    }

    /// The bytes so far, the last one filled up with zero bits. The writer is empty afterwards; its memory is kept by `recycle`.
    pub fn finish(&mut self) -> Vec<u8> {
        let tail = (self.used as usize).div_ceil(8);
        let acc = self.acc.to_le_bytes();
        self.bytes.extend_from_slice(&acc[..tail]);
        (self.acc, self.used) = (0, 0);
        std::mem::take(&mut self.bytes)
    }

    pub fn recycle(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.bytes = bytes;
    }
}

/// Reads a stream of bits that `PADDING` zero bytes follow.
#[derive(Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Bytes that must follow the stream, so that each read is one load of eight bytes.
    pub const PADDING: usize = 8;

    /// `padded` is the stream and its padding; reading begins at the bit `position`.
    pub fn new(padded: &'a [u8], position: usize) -> Self {
        BitReader { bytes: padded, position }
    }

    /// The next `width <= MAX_WIDTH` bits; zero bits behind the end.
    #[inline]
    pub fn get(&mut self, width: u32) -> u64 {
        let at = self.position >> 3;
        let word = match self.bytes.get(at..at + 8).and_then(|b| b.try_into().ok()) {
            Some(word) => u64::from_le_bytes(word),
            None => 0,
        };
        let value = (word >> (self.position & 7)) & ((1u64 << width) - 1);
        self.position += width as usize;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_widths_round_trip() {
        let widths: Vec<u32> = (0..400).map(|i| (i * 7) % (MAX_WIDTH + 1)).collect();
        let value =
            |i: usize, width: u32| (0x9e37_79b9_7f4a_7c15u64.wrapping_mul(i as u64 + 1)) & ((1u64 << width) - 1);
        let mut writer = BitWriter::default();
        for (i, &width) in widths.iter().enumerate() {
            writer.pack((0..5).map(|j| value(5 * i + j, width)), width);
        }
        let mut bytes = writer.finish();
        let bits: usize = widths.iter().map(|&w| 5 * w as usize).sum();
        assert_eq!(bytes.len(), bits.div_ceil(8));
        bytes.extend_from_slice(&[0; BitReader::PADDING]);
        let mut reader = BitReader::new(&bytes, 0);
        for (i, &width) in widths.iter().enumerate() {
            for j in 0..5 {
                assert_eq!(reader.get(width), value(5 * i + j, width), "value {i} of {width} bits");
            }
        }
    }
}
