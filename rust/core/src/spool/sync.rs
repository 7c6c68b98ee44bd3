//! Makes what was appended survive power loss, while others go on appending.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use super::error::SpoolError;
use super::layout;
use super::segment::{Mapped, Segment};

/// One `sync` of a writer, detached from it.
#[derive(Debug)]
pub struct SyncHandle {
    root: PathBuf,
    dir: PathBuf,
    mapped: Arc<Mapped>,
    bytes: usize,
    index: u32,
    synced: Arc<AtomicU32>,
}

impl SyncHandle {
    pub(super) fn new(root: &Path, dir: &Path, segment: &Segment, synced: Arc<AtomicU32>) -> SyncHandle {
        SyncHandle {
            root: root.to_owned(),
            dir: dir.to_owned(),
            mapped: segment.mapped(),
            bytes: segment.end(),
            index: segment.index(),
            synced,
        }
    }

    /// Blocks until the disk has it.
    pub fn run(&self) -> Result<(), SpoolError> {
        let before = self.synced.load(Ordering::Acquire);
        for index in before.max(1)..self.index {
            sync_file(&self.dir.join(layout::segment_name(index)))?;
        }
        let path = self.dir.join(layout::segment_name(self.index));
        self.mapped.sync(self.bytes).map_err(|e| SpoolError::io("sync", &path, e))?;
        if before < self.index {
            // New names since the last time.
            sync_file(&self.dir.join(layout::META_FILE))?;
            sync_file(&self.dir)?;
            sync_file(&self.root)?;
        }
        self.synced.fetch_max(self.index, Ordering::AcqRel);
        Ok(())
    }
}

/// `fsync` of a file or directory. One that is gone was stored by the service and deleted.
pub(super) fn sync_file(path: &Path) -> Result<(), SpoolError> {
    let done = File::open(path).and_then(|file| file.sync_all());
    match done {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| SpoolError::io("sync", path, e)),
    }
}
