//! What the segments of a spool take, and what is done when that is too much.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use super::disk::Disk;
use super::error::SpoolError;
use super::layout;
use super::segment::Segment;
use super::state::StateFile;

/// A segment that the writer has left.
#[derive(Clone, Copy, Debug)]
struct Left {
    index: u32,
    bytes: u64,
    points: u64,
    first_seq: u64,
    last_seq: u64,
    last_control: u64,
}

#[derive(Debug, Default)]
pub(super) struct Quota {
    /// From the oldest to the newest; some of them may be gone.
    left: VecDeque<Left>,
    bytes: u64,
    /// Points that were taken before the current segment.
    points_before: u64,
}

impl Quota {
    /// Remembers a segment that ends before sequence `next_seq`, when so many points have been taken in all.
    pub fn leave(&mut self, segment: &Segment, next_seq: u64, next_control: u64, points: u64) {
        let left = Left {
            index: segment.index(),
            bytes: segment.size(),
            points: points - self.points_before,
            first_seq: segment.header().first_seq,
            last_seq: next_seq - 1,
            last_control: next_control - 1,
        };
        self.points_before = points;
        self.bytes += left.bytes;
        self.left.push_back(left);
    }

    /// There is room for a segment of `bytes` beside the one that is written, which takes `current`. Without others there always is.
    pub fn has_room(&mut self, dir: &Path, current: u64, bytes: u64, limit: u64) -> bool {
        let fits = |quota: &Quota| quota.left.is_empty() || quota.bytes + current + bytes <= limit;
        if !fits(self) {
            self.look(dir);
        }
        fits(self)
    }

    /// Deletes the oldest segments until there is room, and says how many points that were not stored went with them.
    pub fn drop_oldest(
        &mut self,
        dir: &Path,
        current: u64,
        bytes: u64,
        limit: u64,
        disk: &dyn Disk,
    ) -> Result<u64, SpoolError> {
        let stored = StateFile::peek(dir).map_or(0, |state| state.acked_seq);
        let mut lost = 0;
        while !self.has_room(dir, current, bytes, limit) {
            let Some(oldest) = self.left.front().copied() else { break };
            layout::note_dropped(dir, oldest.last_seq, oldest.last_control, disk)?;
            let path = dir.join(layout::segment_name(oldest.index));
            match disk.remove(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SpoolError::io("delete", &path, e));
                }
                _ => {}
            }
            self.left.pop_front();
            self.bytes -= oldest.bytes;
            lost += oldest.unstored(stored);
        }
        Ok(lost)
    }

    /// Forgets the segments that the drainer has deleted.
    fn look(&mut self, dir: &Path) {
        self.left.retain(|left| fs::exists(dir.join(layout::segment_name(left.index))).unwrap_or(true));
        self.bytes = self.left.iter().map(|left| left.bytes).sum();
    }
}

impl Left {
    /// How many of the points have a sequence above `stored`, when they lie evenly over the sequences.
    fn unstored(&self, stored: u64) -> u64 {
        let sequences = (self.last_seq + 1).saturating_sub(self.first_seq);
        let unstored = self.last_seq.saturating_sub(stored).min(sequences);
        if unstored == sequences {
            return self.points;
        }
        (self.points as f64 * unstored as f64 / sequences as f64).ceil() as u64
    }
}
