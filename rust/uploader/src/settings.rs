//! How to drain: what the caller chooses and what only tests change.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stepline_wire::TlsFiles;

/// The wall clock, for what people read. Durations come from tokio's clock, which tests can pause.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn unix_ms(&self) -> i64;
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

#[derive(Clone)]
pub struct Settings {
    /// Goes before the server that a spool names.
    pub server: Option<String>,
    /// Goes before the key that a spool holds.
    pub api_key: Option<String>,
    /// Go before those that a spool names, when any is given.
    pub tls: TlsFiles,
    pub tuning: Tuning,
    pub clock: Arc<dyn Clock>,
    /// Of the jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            server: None,
            api_key: None,
            tls: TlsFiles::default(),
            tuning: Tuning::default(),
            clock: Arc::new(SystemClock),
            seed: crate::backoff::random_seed(),
        }
    }
}

/// Times and sizes.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Between two looks for new records of a spool.
    pub poll: Duration,
    /// The first record of a batch waits no longer for company.
    pub linger: Duration,
    /// Between two looks for new spools.
    pub scan: Duration,
    /// Between two attempts at a spool that somebody else drains.
    pub relock: Duration,
    /// Between two syncs. With the time that one takes, what was logged is on the disk after a second.
    pub sync: Duration,
    /// A unary call, or the Welcome of a stream, that takes longer has failed.
    pub call: Duration,
    /// A stream on which batches are under way and none is settled for this long has failed.
    pub ack: Duration,
    /// Between two looks whether a run that another start holds is free.
    pub live: Duration,
    /// Between two calls that say which attempts live, until the service says another time.
    pub heartbeat: Duration,
    /// Bounds of the pause between two attempts.
    pub shortest_pause: Duration,
    pub longest_pause: Duration,
    /// Of a batch, unless the service takes less.
    pub batch_points: usize,
    pub batch_bytes: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            poll: Duration::from_millis(50),
            linger: Duration::from_millis(200),
            scan: Duration::from_millis(200),
            relock: Duration::from_secs(5),
            sync: Duration::from_millis(500),
            call: Duration::from_secs(10),
            ack: Duration::from_secs(60),
            live: Duration::from_secs(5),
            heartbeat: Duration::from_millis(500),
            shortest_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(15),
            batch_points: 200_000,
            batch_bytes: 1 << 20,
        }
    }
}
