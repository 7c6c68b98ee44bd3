//! What a writer is told, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, RealDisk};

pub(super) const MIN_SEGMENT_BYTES: usize = 4096;

/// How a spool is laid out.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Size of a segment file, at least 4 KiB; a larger record gets a larger segment.
    pub segment_bytes: usize,
    /// A segment that could not be had is asked for again after this time.
    pub retry_pause: Duration,
    pub disk: Arc<dyn Disk>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions { segment_bytes: 8 << 20, retry_pause: Duration::from_secs(1), disk: Arc::new(RealDisk) }
    }
}

/// Counters since the spool was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    pub points: u64,
    /// Rows, arrays and control records.
    pub records: u64,
    /// Bytes written to segments.
    pub bytes: u64,
    /// Points that found no room.
    pub lost_points: u64,
    /// Segment files made.
    pub segments: u64,
}
