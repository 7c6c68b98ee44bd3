//! How long to wait before the next attempt: exponential, with full jitter, so that the thousand ranks of a job that lost its service
//! do not come back at the same moment.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::settings::Tuning;

/// Draws pauses from [0, ceiling); the ceiling doubles with each failure from the shortest to the longest pause.
#[derive(Clone, Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
    random: SplitMix64,
}

impl Backoff {
    pub fn new(tuning: &Tuning, seed: u64) -> Self {
        Backoff {
            shortest: tuning.shortest_pause,
            longest: tuning.longest_pause,
            failures: 0,
            random: SplitMix64(seed),
        }
    }

    /// The pause after another failure; not shorter than what the service asked for.
    pub fn pause(&mut self, at_least: Option<Duration>) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(self.random.unit()).max(at_least.unwrap_or_default())
    }

    /// Something went well: the next pause is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn ceiling(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.shortest.saturating_mul(factor).min(self.longest)
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Differs between processes: the standard library seeds its hashers from the system's randomness.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(&Tuning::default(), seed)
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_pause() {
        let mut it = backoff(1);
        let mut ceilings = Vec::new();
        for _ in 0..40 {
            ceilings.push(it.ceiling().as_millis());
            it.pause(None);
        }
        assert_eq!(ceilings[..9], [100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000]);
        assert!(ceilings[9..].iter().all(|ceiling| *ceiling == 15_000));
    }

    #[test]
    fn pauses_spread_over_the_whole_range_below_the_ceiling() {
        let mut low = 0;
        for seed in 0..1000 {
            let pause = backoff(seed).pause(None);
            assert!(pause < Duration::from_millis(100));
            low += u32::from(pause < Duration::from_millis(50));
        }
        assert!((400..600).contains(&low), "{low} of 1000 pauses lie in the lower half");
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_one_others() {
        let pauses = |seed| {
            let mut it = backoff(seed);
            (0..10).map(|_| it.pause(None)).collect::<Vec<_>>()
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
        assert_ne!(random_seed(), random_seed());
    }

    #[test]
    fn the_service_may_ask_for_more_and_success_starts_over() {
        let mut it = backoff(3);
        assert!(it.pause(Some(Duration::from_secs(20))) >= Duration::from_secs(20));
        for _ in 0..20 {
            it.pause(None);
        }
        assert_eq!(it.failures(), 21);
        it.reset();
        assert!(it.pause(None) < Duration::from_millis(100));
    }
}
