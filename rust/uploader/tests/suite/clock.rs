//! A wall clock that only tests move.

use std::sync::atomic::{AtomicI64, Ordering};

use stepline_uploader::Clock;

/// Each look is a millisecond later than the one before.
#[derive(Debug, Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn unix_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
