//! How long calls of `log()` take: one in `STRIDE` is timed, so that the clock costs the others nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Odd and prime: call sites that take turns are all seen.
const STRIDE: u32 = 31;
/// Buckets double every `PARTS`: a bound is at most an eighth above what it bounds.
const PARTS: u64 = 8;
const PARTS_LOG2: u32 = PARTS.trailing_zeros();
/// Up to 2^36 ns, a minute.
const BUCKETS: usize = (36 - PARTS_LOG2 as usize + 1) * PARTS as usize;

pub struct Latency {
    calls: AtomicU32,
    buckets: Box<[AtomicU64]>,
    max: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Latency { calls: AtomicU32::new(0), buckets, max: AtomicU64::new(0) }
    }
}

impl Latency {
    /// The time when this call is one of those that are timed.
    #[inline]
    pub fn begin(&self) -> Option<Instant> {
        // Threads that meet here may lose a count, which is cheaper than an atomic addition and changes nothing.
        let calls = self.calls.load(Ordering::Relaxed);
        if calls == 0 {
            self.calls.store(STRIDE - 1, Ordering::Relaxed);
            return Some(Instant::now());
        }
        self.calls.store(calls - 1, Ordering::Relaxed);
        None
    }

    #[cold]
    pub fn end(&self, began: Instant) {
        self.add(began.elapsed());
    }

    fn add(&self, taken: Duration) {
        let taken = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket(taken).min(BUCKETS - 1)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.max.fetch_max(taken, Ordering::Relaxed);
    }

    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// (upper bound in ns, calls) of each bucket that has some.
    pub fn histogram(&self) -> Vec<(u64, u64)> {
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(i, count)| (bound(i), count)).collect()
    }

    pub fn reset(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        self.max.store(0, Ordering::Relaxed);
    }
}

fn bucket(ns: u64) -> usize {
    if ns < PARTS {
        return ns as usize;
    }
    let octave = ns.ilog2() - PARTS_LOG2;
    (u64::from(octave + 1) * PARTS + (ns >> octave) - PARTS) as usize
}

/// The largest time of a bucket.
fn bound(bucket: usize) -> u64 {
    let (octave, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    match octave.checked_sub(1) {
        None => part,
        Some(shift) => ((PARTS + part + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_lies_in_a_bucket_that_is_at_most_an_eighth_wide() {
        for ns in (0..5_000).chain((12..36).flat_map(|e| [(1 << e) - 1, 1 << e, (1 << e) + 1])) {
            let (found, upper) = (bucket(ns), bound(bucket(ns)));
            assert!(found < BUCKETS && ns <= upper && upper - ns <= ns / 8, "{ns}: {found}, {upper}");
            assert!(found == 0 || bound(found - 1) < ns, "{ns}");
        }
    }

    #[test]
    fn one_call_in_some_is_timed_and_a_long_one_is_kept() {
        let latency = Latency::default();
        let timed = (0..10 * STRIDE).filter_map(|_| latency.begin()).count();
        assert_eq!(timed, 10);
        latency.add(Duration::from_secs(3600));
        assert_eq!(latency.histogram().len(), 1);
        assert_eq!(latency.max(), 3_600_000_000_000);
        latency.reset();
        assert_eq!((latency.histogram(), latency.max()), (Vec::new(), 0));
    }
}
