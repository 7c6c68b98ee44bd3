//! Makes what was appended survive power loss, while others go on appending.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use super::backing::Backing;
use super::disk::Disk;
use super::error::SpoolError;
use super::layout;
use super::segment::Segment;

/// One `sync` of a writer, detached from it.
#[derive(Debug)]
pub struct SyncHandle {
    root: PathBuf,
    dir: PathBuf,
    backing: Arc<Backing>,
    bytes: usize,
    index: u32,
    synced: Arc<AtomicU32>,
    disk: Arc<dyn Disk>,
}

impl SyncHandle {
    pub(super) fn new(
        root: &Path,
        dir: &Path,
        segment: &Segment,
        synced: &Arc<AtomicU32>,
        disk: &Arc<dyn Disk>,
    ) -> SyncHandle {
        SyncHandle {
            root: root.to_owned(),
            dir: dir.to_owned(),
            backing: segment.backing(),
            bytes: segment.end(),
            index: segment.index(),
            synced: Arc::clone(synced),
            disk: Arc::clone(disk),
        }
    }

    /// Blocks until the disk has it.
    pub fn run(&self) -> Result<(), SpoolError> {
        let before = self.synced.load(Ordering::Acquire);
        for index in before.max(1)..self.index {
            sync_path(&self.dir.join(layout::segment_name(index)), &*self.disk)?;
        }
        let path = self.dir.join(layout::segment_name(self.index));
        self.backing.sync(self.bytes).map_err(|e| SpoolError::io("sync", &path, e))?;
        if before < self.index {
            // New names since the last time.
            sync_path(&self.dir.join(layout::META_FILE), &*self.disk)?;
            sync_path(&self.dir, &*self.disk)?;
            sync_path(&self.root, &*self.disk)?;
        }
        self.synced.fetch_max(self.index, Ordering::AcqRel);
        Ok(())
    }
}

/// Syncs a file or directory. One that is gone was stored by the service and deleted.
pub(super) fn sync_path(path: &Path, disk: &dyn Disk) -> Result<(), SpoolError> {
    match disk.sync_path(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| SpoolError::io("sync", path, e)),
    }
}
