//! What the values of a column are, and the 64-bit words under which near values are near integers.
//!
//! Every comparison is of bits, and NaNs never pass through a conversion of the processor, which may change their payload. So a
//! value comes back with the bits that it had.

use super::CodecError;

/// How the words of a column are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two's complement integers; as values, those that a double holds exactly (-0.0 is none).
    Int = 0,
    /// The ordered bits of the float32 that equals the value.
    F32 = 1,
    /// The ordered bits of the float64.
    F64 = 2,
}

impl Kind {
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Kind::Int),
            1 => Some(Kind::F32),
            2 => Some(Kind::F64),
            _ => None,
        }
    }

    /// Bytes of a word that can be other than zero.
    pub fn bytes(self) -> u32 {
        match self {
            Kind::F32 => 4,
            Kind::Int | Kind::F64 => 8,
        }
    }
}

/// The narrowest kind that holds all values exactly.
pub fn classify(values: &[f64]) -> Kind {
    if values.iter().all(|&v| is_int(v)) {
        return Kind::Int;
    }
    // Without branches, so that it runs on vectors: the bits that a trip through float32 changes, and whether there is a NaN.
    let mut changed = 0u64;
    let mut nan = false;
    for &v in values {
        changed |= f64::from(v as f32).to_bits() ^ v.to_bits();
        nan |= v.is_nan();
    }
    let exact = if nan { values.iter().all(|&v| is_f32(v)) } else { changed == 0 };
    if exact {
        Kind::F32
    } else {
        Kind::F64
    }
}

#[inline]
fn is_int(v: f64) -> bool {
    ((v as i64) as f64).to_bits() == v.to_bits()
}

#[inline]
fn is_f32(v: f64) -> bool {
    if v.is_nan() {
        v.to_bits() & LOST_MANTISSA == 0
    } else {
        f64::from(v as f32).to_bits() == v.to_bits()
    }
}

/// The mantissa bits of a double that a float32 has not.
const LOST_MANTISSA: u64 = (1 << 29) - 1;

/// Fills `words`, which is cleared first. The values must be of the kind.
pub fn to_words(kind: Kind, values: &[f64], words: &mut Vec<u64>) {
    words.clear();
    match kind {
        Kind::Int => words.extend(values.iter().map(|&v| v as i64 as u64)),
        Kind::F32 => words.extend(values.iter().map(|&v| u64::from(order32(narrow(v))))),
        Kind::F64 => words.extend(values.iter().map(|&v| order64(v.to_bits()))),
    }
}

/// The reverse of [`to_words`].
pub fn from_words(kind: Kind, words: &[u64], values: &mut [f64]) -> Result<(), CodecError> {
    match kind {
        Kind::Int => {
            for (value, &word) in values.iter_mut().zip(words) {
                *value = word as i64 as f64;
            }
        }
        Kind::F32 => {
            let mut all = 0;
            for (value, &word) in values.iter_mut().zip(words) {
                all |= word;
                *value = widen(unorder32(word as u32));
            }
            if all > u64::from(u32::MAX) {
                return Err(CodecError::Malformed("a float32 column leaves its range"));
            }
        }
        Kind::F64 => {
            for (value, &word) in values.iter_mut().zip(words) {
                *value = f64::from_bits(unorder64(word));
            }
        }
    }
    Ok(())
}

/// The float32 bits of a value for which `is_f32` holds.
#[inline]
fn narrow(v: f64) -> u32 {
    if v.is_nan() {
        let bits = v.to_bits();
        (bits >> 32) as u32 & 0x8000_0000 | 0x7f80_0000 | (bits >> 29) as u32 & 0x007f_ffff
    } else {
        (v as f32).to_bits()
    }
}

#[inline]
fn widen(bits: u32) -> f64 {
    let v = f32::from_bits(bits);
    if v.is_nan() {
        let bits = u64::from(bits);
        f64::from_bits((bits & 0x8000_0000) << 32 | 0x7ff0_0000_0000_0000 | (bits & 0x007f_ffff) << 29)
    } else {
        f64::from(v)
    }
}

// Sign and magnitude become an unsigned integer in the order of the values.

#[inline]
fn order32(bits: u32) -> u32 {
    bits ^ (((bits as i32) >> 31) as u32 | 1 << 31)
}

#[inline]
fn unorder32(word: u32) -> u32 {
    word ^ (((!word as i32) >> 31) as u32 | 1 << 31)
}

#[inline]
fn order64(bits: u64) -> u64 {
    bits ^ (((bits as i64) >> 63) as u64 | 1 << 63)
}

#[inline]
fn unorder64(word: u64) -> u64 {
    word ^ (((!word as i64) >> 63) as u64 | 1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], kind: Kind) {
        assert_eq!(classify(values), kind, "{values:?}");
        let mut words = Vec::new();
        to_words(kind, values, &mut words);
        let mut back = vec![0.0; values.len()];
        from_words(kind, &words, &mut back).unwrap();
        for (v, b) in values.iter().zip(&back) {
            assert_eq!(v.to_bits(), b.to_bits(), "{v} came back as {b}");
        }
    }

    #[test]
    fn the_narrowest_kind_that_keeps_all_bits() {
        check(&[0.0, -3.0, 9_007_199_254_740_993.0, -9_223_372_036_854_775_808.0], Kind::Int);
        check(&[9_223_372_036_854_775_808.0], Kind::Int);
        check(&[0.0, -0.0], Kind::F32);
        check(&[f64::INFINITY, f64::NEG_INFINITY, 0.5], Kind::F32);
        check(&[f64::from(f32::MIN_POSITIVE), 1e-45f32.into(), -f64::from(f32::MAX)], Kind::F32);
        check(&[0.1], Kind::F64);
        check(&[1e300], Kind::F64);
        check(&[f64::MIN_POSITIVE, 5e-324, -5e-324, f64::MAX], Kind::F64);
    }

    #[test]
    fn nan_payloads_survive() {
        let quiet = f64::from_bits(0x7ff8_0000_0000_0000);
        let negative = f64::from_bits(0xfff8_0000_2000_0000);
        let signalling = f64::from_bits(0x7ff0_0000_2000_0000);
        check(&[quiet, negative, signalling, 1.5], Kind::F32);
        let odd = f64::from_bits(0x7ff0_0000_0000_0001);
        check(&[odd, quiet], Kind::F64);
    }

    #[test]
    fn words_are_in_the_order_of_the_values() {
        let values = [f64::NEG_INFINITY, -2.5, -0.5, 0.5, 2.5, f64::INFINITY];
        for kind in [Kind::F32, Kind::F64] {
            let mut words = Vec::new();
            to_words(kind, &values, &mut words);
            assert!(words.windows(2).all(|w| w[0] < w[1]));
        }
    }
}
