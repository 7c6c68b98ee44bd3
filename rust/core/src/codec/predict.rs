//! Words as a head and residuals that are small where the column is smooth. All arithmetic wraps at 64 bits, so any words will do.

use super::kind::Kind;
use super::varint::{unzigzag, zigzag};

/// What each word is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// The word before it. The head is the first word; n - 1 residuals.
    Previous = 0,
    /// The word before it plus a constant slope. The head is the first word; n - 1 residuals.
    Slope = 1,
    /// The head, which is a word in the middle of the column; n residuals. For noise around a level this is half a bit better than
    /// `Previous`, which adds the noise of two words.
    Center = 2,
}

impl Predictor {
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Predictor::Previous),
            1 => Some(Predictor::Slope),
            2 => Some(Predictor::Center),
            _ => None,
        }
    }

    /// Residuals of a column of `len` words.
    pub fn residuals(self, len: usize) -> usize {
        match self {
            Predictor::Previous | Predictor::Slope => len - 1,
            Predictor::Center => len,
        }
    }
}

/// How a column is taken apart. Residual r of a word w with the prediction p: `zigzag((w - p) >> shift)`, at most `width` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub predictor: Predictor,
    pub head: u64,
    /// Zero unless the predictor is `Slope`.
    pub slope: i64,
    /// Low bits that are zero in every difference.
    pub shift: u32,
    /// 0 when every residual is zero.
    pub width: u32,
}

/// Columns shorter than this have too few words to tell a level from a walk.
const CENTER_LENGTH: usize = 16;
/// Words that are looked at to tell it.
const SAMPLE: usize = 24;

/// Chooses a plan for the words, of which there is at least one, and fills `residuals`.
pub fn take_apart(kind: Kind, words: &[u64], residuals: &mut Vec<u64>) -> Plan {
    let head = words[0];
    let mut best = differences(words.windows(2).map(|w| w[1].wrapping_sub(w[0])), residuals);
    best.head = head;
    if best.width == 0 {
        residuals.clear();
        residuals.resize(words.len() - 1, 0);
        return best;
    }
    if kind == Kind::Int && words.len() > 2 {
        let last = words[words.len() - 1];
        let slope = (last.wrapping_sub(head) as i64) / (words.len() as i64 - 1);
        let steps = words.windows(2).map(|w| w[1].wrapping_sub(w[0]).wrapping_sub(slope as u64));
        // The slope itself costs a few bytes.
        let gain = best.width.saturating_sub(width_of(steps.clone())) as usize * (words.len() - 1);
        if gain > 32 || (gain > 0 && width_of(steps.clone()) == 0) {
            best = differences(steps, residuals);
            (best.predictor, best.head, best.slope) = (Predictor::Slope, head, slope);
            finish(&best, residuals);
            return best;
        }
    }
    if words.len() >= CENTER_LENGTH {
        let center = center(words);
        if is_level(words, center) {
            best = differences(words.iter().map(|w| w.wrapping_sub(center)), residuals);
            (best.predictor, best.head) = (Predictor::Center, center);
        }
    }
    finish(&best, residuals);
    best
}

/// Puts the words together again: the reverse of [`take_apart`]. `residuals` yields `predictor.residuals(len)` numbers.
#[inline]
pub fn put_together(plan: &Plan, residuals: impl Iterator<Item = u64>, words: &mut Vec<u64>) {
    let difference = |r: u64| (unzigzag(r) as u64).wrapping_shl(plan.shift);
    match plan.predictor {
        Predictor::Center => words.extend(residuals.map(|r| plan.head.wrapping_add(difference(r)))),
        Predictor::Previous | Predictor::Slope => {
            let mut word = plan.head;
            words.push(word);
            words.extend(residuals.map(|r| {
                word = word.wrapping_add(difference(r)).wrapping_add(plan.slope as u64);
                word
            }));
        }
    }
}

/// Keeps the differences in `residuals` and finds their shift and width.
fn differences(differences: impl Iterator<Item = u64>, residuals: &mut Vec<u64>) -> Plan {
    residuals.clear();
    residuals.extend(differences);
    let (mut any, mut zigzagged) = (0u64, 0u64);
    for &d in residuals.iter() {
        any |= d;
        zigzagged |= zigzag(d as i64);
    }
    let (shift, width) = match any {
        0 => (0, 0),
        _ => (any.trailing_zeros(), bits(zigzagged) - any.trailing_zeros()),
    };
    Plan { predictor: Predictor::Previous, head: 0, slope: 0, shift, width }
}

/// Turns the kept differences into residuals.
fn finish(plan: &Plan, residuals: &mut [u64]) {
    for r in residuals {
        *r = zigzag((*r as i64) >> plan.shift);
    }
}

fn width_of(differences: impl Iterator<Item = u64>) -> u32 {
    let (mut any, mut zigzagged) = (0u64, 0u64);
    for d in differences {
        any |= d;
        zigzagged |= zigzag(d as i64);
    }
    if any == 0 {
        0
    } else {
        bits(zigzagged) - any.trailing_zeros()
    }
}

fn bits(v: u64) -> u32 {
    64 - v.leading_zeros()
}

/// The mean, as far as a double knows it.
fn center(words: &[u64]) -> u64 {
    let head = words[0];
    let sum: f64 = words.iter().map(|w| w.wrapping_sub(head) as i64 as f64).sum();
    head.wrapping_add((sum / words.len() as f64) as i64 as u64)
}

/// True when distances from the center are shorter, in bits and on the whole, than the steps from word to word. Independent noise
/// has steps half a bit longer than its distances.
fn is_level(words: &[u64], center: u64) -> bool {
    let stride = (words.len() - 1) / SAMPLE + 1;
    let (mut steps, mut distances) = (0u32, 0u32);
    for pair in words.windows(2).step_by(stride) {
        steps += bits(zigzag(pair[1].wrapping_sub(pair[0]) as i64));
        distances += bits(zigzag(pair[1].wrapping_sub(center) as i64));
    }
    distances < steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, words: &[u64]) -> Plan {
        let (mut residuals, mut back) = (Vec::new(), Vec::new());
        let plan = take_apart(kind, words, &mut residuals);
        assert_eq!(residuals.len(), plan.predictor.residuals(words.len()));
        assert!(residuals.iter().all(|&r| bits(r) <= plan.width), "{plan:?} {residuals:?}");
        put_together(&plan, residuals.iter().copied(), &mut back);
        assert_eq!(back, words);
        plan
    }

    fn noise(i: u64) -> u64 {
        (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44
    }

    #[test]
    fn one_word_and_equal_words_have_no_residual_bits() {
        assert_eq!(check(Kind::F64, &[u64::MAX]).width, 0);
        assert_eq!(check(Kind::F64, &[77; 50]).width, 0);
    }

    #[test]
    fn counters_are_a_head_and_a_slope() {
        let words: Vec<u64> = (0..10).map(|i| 5_000 + 4_096 * i).collect();
        let plan = check(Kind::Int, &words);
        assert_eq!((plan.predictor, plan.slope, plan.width), (Predictor::Slope, 4_096, 0));
    }

    #[test]
    fn common_low_zeros_are_shifted_out() {
        let words: Vec<u64> = (0..12).map(|i| (1 << 40) + (noise(i) << 16)).collect();
        let plan = check(Kind::F32, &words);
        assert!(plan.shift >= 16 && plan.width <= 22);
    }

    #[test]
    fn noise_around_a_level_is_compared_with_its_center() {
        let words: Vec<u64> = (0..200).map(|i| (1 << 40) + noise(i)).collect();
        assert_eq!(check(Kind::F32, &words).predictor, Predictor::Center);
        let walk: Vec<u64> = words
            .iter()
            .scan(0u64, |sum, w| {
                *sum += w & 0xff;
                Some(*sum)
            })
            .collect();
        assert_eq!(check(Kind::F32, &walk).predictor, Predictor::Previous);
    }

    #[test]
    fn extremes_wrap() {
        check(Kind::Int, &[0, u64::MAX, 1 << 63, (1 << 63) - 1, 1, 0]);
        check(Kind::Int, &[i64::MAX as u64, i64::MIN as u64]);
        check(Kind::Int, &[i64::MAX as u64, i64::MIN as u64, i64::MAX as u64]);
    }
}
