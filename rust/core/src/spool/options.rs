//! What a writer is told, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use super::backing::Medium;
use super::disk::{Disk, RealDisk};

pub(super) const MIN_SEGMENT_BYTES: usize = 4096;
/// A segment that is gathered in memory has at most this size, whatever `segment_bytes` says: so much can be lost when the disk
/// refuses it and the process dies.
pub(super) const MAX_BUFFERED_BYTES: usize = 1 << 20;
/// A spool at its limit gives room a segment at a time, so there must be some of them.
const LEAST_SEGMENTS: u64 = 8;

/// How records reach their file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// `Mapped`, but `Buffered` on network file systems and where files cannot be mapped.
    #[default]
    Auto,
    /// Stored into the page cache: SIGKILL loses nothing.
    Mapped,
    /// Gathered in memory and written every `write_pause` in which there are records, or every `write_bytes`.
    Buffered,
}

/// What happens at `limit_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitPolicy {
    /// New points are refused and counted.
    #[default]
    Refuse,
    /// `append_row` and its like fail with `is_busy()` and count nothing: try again.
    Block,
    /// The oldest segments are deleted, sent or not.
    DropOldest,
}

/// How a spool is laid out.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Size of a segment file, at least 4 KiB; a larger record gets a larger segment.
    pub segment_bytes: usize,
    /// Pages of a segment are made present so far ahead, and the next segment is prepared as often.
    pub ahead_bytes: usize,
    /// A segment that could not be had is asked for again after this time.
    pub retry_pause: Duration,
    pub write: WriteMode,
    /// Of the cadence of `Buffered`.
    pub write_bytes: usize,
    pub write_pause: Duration,
    /// What the segments may take; 0 for no limit. There are always two segments, however large they must be.
    pub limit_bytes: u64,
    pub policy: LimitPolicy,
    pub disk: Arc<dyn Disk>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions {
            segment_bytes: 8 << 20,
            ahead_bytes: 256 << 10,
            retry_pause: Duration::from_secs(1),
            write: WriteMode::default(),
            write_bytes: 256 << 10,
            write_pause: Duration::from_millis(100),
            limit_bytes: 0,
            policy: LimitPolicy::default(),
            disk: Arc::new(RealDisk),
        }
    }
}

impl WriterOptions {
    pub(super) fn medium(&self, mode: WriteMode) -> Medium {
        Medium { mode, ahead_bytes: self.ahead_bytes.max(1), disk: Arc::clone(&self.disk) }
    }

    /// The size of a segment that no record makes larger.
    pub(super) fn usual_segment(&self, buffered: bool) -> usize {
        let mut bytes = self.segment_bytes;
        if buffered {
            bytes = bytes.min(MAX_BUFFERED_BYTES);
        }
        if self.limit_bytes > 0 {
            bytes = bytes.min(usize::try_from(self.limit_bytes / LEAST_SEGMENTS).unwrap_or(usize::MAX));
        }
        bytes.max(MIN_SEGMENT_BYTES)
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
    /// Points that were taken and then deleted unsent because the spool was at its limit, as far as is known here.
    pub dropped_points: u64,
    /// Segment files made.
    pub segments: u64,
}
