//! Byte planes: all lowest bytes, then all second bytes, and so on, so that what is alike stands together.

/// Writes byte `plane` of each word to `out`, which is cleared first.
pub fn plane(words: &[u64], plane: u32, out: &mut Vec<u8>) {
    out.clear();
    out.extend(words.iter().map(|w| (w >> (8 * plane)) as u8));
}

/// Puts a plane back: the reverse of [`plane`] for words whose byte is still zero.
pub fn unplane(bytes: &[u8], plane: u32, words: &mut [u64]) {
    for (word, byte) in words.iter_mut().zip(bytes) {
        *word |= u64::from(*byte) << (8 * plane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_round_trip() {
        let words: Vec<u64> = (1..100u64).map(|i| i.wrapping_mul(0x0123_4567_89ab_cdef)).collect();
        let mut back = vec![0; words.len()];
        let mut bytes = Vec::new();
        for p in 0..8 {
            plane(&words, p, &mut bytes);
            unplane(&bytes, p, &mut back);
        }
        assert_eq!(words, back);
    }
}
