//! The next segment, made ahead: a step at a time, each in another call of `log()`, so that none of them pays for all.
//!
//! Until it is the next segment it has a temporary name, which no reader looks at. Nothing depends on it: a step that fails gives it
//! up, and the segment is made when it is needed, whose error is the one that counts.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backing::{Backing, Medium};
use super::header::SegmentHeader;
use super::layout;
use super::rollover::segment_size;
use super::segment::Segment;
use super::writer::SpoolWriter;

/// Segments of fewer pieces than this are made when they are needed.
const LEAST_PIECES: usize = 8;

#[derive(Debug)]
enum Stage {
    Nothing,
    Created(File),
    Reserved(File),
    Mapped(Backing),
    Ready(Backing, usize),
}

#[derive(Debug)]
struct Spare {
    index: u32,
    bytes: usize,
    path: PathBuf,
    stage: Stage,
}

/// What is done ahead of need, and what is put off until there is time.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    spare: Option<Spare>,
    /// For this segment none was to be had.
    given_up: u32,
    /// Of the segment before: to let go of a mapping takes as long as all that makes one.
    left: Option<Arc<Backing>>,
}

impl Spare {
    fn advance(&mut self, medium: &Medium) -> io::Result<()> {
        let disk = &medium.disk;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Nothing) {
            Stage::Nothing => Stage::Created(disk.create(&self.path)?),
            Stage::Created(file) => {
                disk.allocate(&file, self.bytes as u64)?;
                Stage::Reserved(file)
            }
            Stage::Reserved(file) => {
                let image = disk.map(&file, self.bytes)?;
                Stage::Mapped(Backing { file, image, buffered: false, medium: medium.clone() })
            }
            Stage::Mapped(backing) => {
                let present = backing.populate(0, 1)?;
                Stage::Ready(backing, present)
            }
            ready @ Stage::Ready(..) => ready,
        };
        Ok(())
    }

    fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(..))
    }
}

impl Ahead {
    /// Puts off the end of a mapping.
    pub fn keep(&mut self, left: Arc<Backing>) {
        self.left = Some(left);
    }

    /// The segment of `header` with `bytes` or more; None when it must be made in the common way.
    pub fn take(&mut self, dir: &Path, header: SegmentHeader, bytes: usize, medium: &Medium) -> Option<Segment> {
        let mut spare = self.spare.take()?;
        if spare.index == header.index && spare.bytes >= bytes {
            while !spare.is_ready() && spare.advance(medium).is_ok() {}
            if let Stage::Ready(backing, present) = spare.stage {
                if let Ok(segment) = Segment::begin(dir, &spare.path, header, backing, present) {
                    return Some(segment);
                }
            }
        }
        // Best effort: a file that is left goes with the spool.
        let _ = medium.disk.remove(&spare.path);
        None
    }

    /// Lets go of everything without touching it: for a forked child.
    pub fn abandon(self) {
        std::mem::forget(self);
    }
}

impl SpoolWriter {
    /// Does one of the things that are not needed yet. Called as often as pages run out.
    #[cold]
    pub(super) fn work_ahead(&mut self) {
        if self.ahead.left.take().is_some() || self.segment.is_buffered() {
            return;
        }
        let (size, index) = (self.segment.size() as usize, self.segment.index() + 1);
        let usual = segment_size(self.options.usual_segment(false));
        let due = size == usual && size >= LEAST_PIECES * self.options.ahead_bytes && 2 * self.segment.end() >= size;
        if !due || self.ahead.given_up == index || self.gap.is_some() {
            return;
        }
        let medium = self.medium();
        let path = self.dir.join(layout::temporary_name(index));
        let spare = match self.ahead.spare.take() {
            Some(spare) => spare,
            None if self.has_room(usual as u64) => Spare { index, bytes: usual, path, stage: Stage::Nothing },
            None => {
                self.ahead.given_up = index;
                return;
            }
        };
        let spare = self.ahead.spare.insert(spare);
        if spare.advance(&medium).is_err() {
            self.drop_spare();
            self.ahead.given_up = index;
        }
    }

    /// Deletes the spare segment.
    pub(super) fn drop_spare(&mut self) {
        if let Some(spare) = self.ahead.spare.take() {
            // Best effort: a file that is left goes with the spool.
            let _ = self.options.disk.remove(&spare.path);
        }
    }
}
