//! SipHash-2-4 with a zero key (Aumasson and Bernstein 2012) of five words, several at a time: what `digest` counts a point as.

const LANES: usize = 2;

type Words = [u64; LANES];

/// The state of `LANES` hashes; each step is done for all of them, which keeps a core busy that would wait for one.
#[derive(Clone, Copy)]
struct State {
    v: [Words; 4],
}

impl State {
    fn new() -> State {
        let key = [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
        State { v: key.map(|word: u64| [word; LANES]) }
    }

    #[inline(always)]
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        for i in 0..LANES {
            v0[i] = v0[i].wrapping_add(v1[i]);
            v1[i] = v1[i].rotate_left(13) ^ v0[i];
            v0[i] = v0[i].rotate_left(32);
            v2[i] = v2[i].wrapping_add(v3[i]);
            v3[i] = v3[i].rotate_left(16) ^ v2[i];
            v0[i] = v0[i].wrapping_add(v3[i]);
            v3[i] = v3[i].rotate_left(21) ^ v0[i];
            v2[i] = v2[i].wrapping_add(v1[i]);
            v1[i] = v1[i].rotate_left(17) ^ v2[i];
            v2[i] = v2[i].rotate_left(32);
        }
    }

    #[inline(always)]
    fn take(&mut self, words: Words) {
        self.v[3].iter_mut().zip(words).for_each(|(lane, word)| *lane ^= word);
        self.round();
        self.round();
        self.v[0].iter_mut().zip(words).for_each(|(lane, word)| *lane ^= word);
    }

    #[inline(always)]
    fn finish(mut self, bytes: u64) -> Words {
        self.take([bytes << 56; LANES]);
        self.v[2].iter_mut().for_each(|word| *word ^= 0xff);
        for _ in 0..4 {
            self.round();
        }
        std::array::from_fn(|i| self.v[0][i] ^ self.v[1][i] ^ self.v[2][i] ^ self.v[3][i])
    }
}

/// Calls `each` with the number and the hash of every row of `rows`, which gives the five words of a row.
#[inline(always)]
pub fn hash_rows(count: usize, rows: impl Fn(usize) -> [u64; 5], mut each: impl FnMut(usize, u64)) {
    for first in (0..count).step_by(LANES) {
        let lanes: [[u64; 5]; LANES] = std::array::from_fn(|lane| rows((first + lane).min(count - 1)));
        let words: [Words; 5] = std::array::from_fn(|word| lanes.map(|row| row[word]));
        let mut state = State::new();
        words.into_iter().for_each(|words| state.take(words));
        let hashes = state.finish(40);
        hashes.into_iter().take(count - first).enumerate().for_each(|(lane, hash)| each(first + lane, hash));
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use siphasher::sip::SipHasher24;

    use super::*;

    #[test]
    fn it_is_the_hash_of_the_bytes_of_the_words() {
        for count in 0..10 {
            let row = |i: usize| std::array::from_fn(|w| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) << w);
            let mut seen = 0;
            hash_rows(count, row, |i, hash| {
                let mut hasher = SipHasher24::new_with_keys(0, 0);
                row(i).iter().for_each(|word: &u64| hasher.write(&word.to_le_bytes()));
                assert_eq!((i, hash), (seen, hasher.finish()));
                seen += 1;
            });
            assert_eq!(seen, count);
        }
    }
}
