//! LEB128 varints, zigzag, and a reader that never runs past its bytes.

use super::CodecError;

/// Maps small negative and positive numbers to small unsigned ones: 0, -1, 1, -2 become 0, 1, 2, 3.
#[inline]
pub fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

#[inline]
pub fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Appends `v`, seven bits a byte, lowest first.
pub fn put_u64(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub fn put_i64(out: &mut Vec<u8>, v: i64) {
    put_u64(out, zigzag(v));
}

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `n` bytes. `what` names them in the error.
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        if n > self.bytes.len() {
            return Err(CodecError::Truncated(what));
        }
        let (head, tail) = self.bytes.split_at(n);
        self.bytes = tail;
        Ok(head)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, CodecError> {
        Ok(self.take(1, what)?[0])
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Malformed("a varint is longer than 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Malformed("a varint is longer than 64 bits"))
    }

    pub fn i64(&mut self, what: &'static str) -> Result<i64, CodecError> {
        Ok(unzigzag(self.u64(what)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_round_trips() {
        for shift in 0..64 {
            for v in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_u64(&mut out, v);
                put_i64(&mut out, v as i64);
                let mut reader = Reader::new(&out);
                assert_eq!(reader.u64("v"), Ok(v));
                assert_eq!(reader.i64("v"), Ok(v as i64));
                assert_eq!(reader.remaining(), 0);
            }
        }
    }

    #[test]
    fn overlong_and_cut_varints_are_errors() {
        let mut overlong = vec![0xff; 9];
        overlong.push(2);
        assert!(matches!(Reader::new(&overlong).u64("v"), Err(CodecError::Malformed(_))));
        assert!(matches!(Reader::new(&[0x80; 12]).u64("v"), Err(CodecError::Malformed(_))));
        assert_eq!(Reader::new(&[0x80]).u64("v"), Err(CodecError::Truncated("v")));
    }
}
