//! The directory of a spool: made complete or not at all, and made anew when somebody deletes it under the running process.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::error::SpoolError;
use super::header::SegmentHeader;
use super::layout;
use super::lock::DirLock;
use super::meta::SpoolMeta;
use super::options::WriterOptions;
use super::rollover::segment_size;
use super::segment::Segment;
use super::writer::SpoolWriter;
use crate::id::WriterId;

/// The root and the directories above it, open to their owner only. A power loss does not take them away again.
pub(super) fn make_root(root: &Path, disk: &dyn Disk) -> Result<(), SpoolError> {
    make_dirs(root, disk).map_err(|e| SpoolError::io("create", root, e))
}

fn make_dirs(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    let made = match (disk.create_dir(dir), dir.parent()) {
        (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound => {
            make_dirs(parent, disk)?;
            disk.create_dir(dir)
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => {
            // Best effort: who may write in a directory may not always read it.
            let _ = dir.parent().map(|parent| disk.sync_path(parent));
            Ok(())
        }
        Err(_) if dir.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the directory of the spool of `meta` with a segment that `fill` makes there. It appears under its name only when it is
/// complete.
pub(super) fn make_spool(
    root: &Path,
    meta: &mut SpoolMeta,
    disk: &dyn Disk,
    fill: impl FnOnce(&Path, &SpoolMeta) -> Result<Segment, SpoolError>,
) -> Result<(DirLock, Segment), SpoolError> {
    let (dir, temporary) = (root.join(&meta.writer), root.join(format!(".new-{}", meta.writer)));
    let made = disk.create_dir(&temporary).map_err(|e| SpoolError::io("create", &temporary, e)).and_then(|()| {
        let lock = lock(&temporary)?;
        let segment = fill(&temporary, meta)?;
        let write = if segment.is_buffered() { "buffered" } else { "mapped" };
        write.clone_into(&mut meta.write);
        meta.store(&temporary, disk)?;
        disk.rename(&temporary, &dir).map_err(|e| SpoolError::io("rename", &dir, e))?;
        Ok((lock, segment))
    });
    made.inspect_err(|_| {
        // Best effort: nobody looks at a directory of this name, and the error that matters is the first one.
        let _ = fs::remove_dir_all(&temporary);
    })
}

pub(super) fn first_segment(
    dir: &Path,
    meta: &SpoolMeta,
    id: WriterId,
    options: &WriterOptions,
) -> Result<Segment, SpoolError> {
    let header = SegmentHeader { writer: id, index: 1, first_seq: 1, first_control: 1, created_ms: meta.created_ms };
    let buffered = options.write == super::WriteMode::Buffered;
    Segment::create(dir, header, segment_size(options.usual_segment(buffered)), &options.medium(options.write))
}

fn lock(dir: &Path) -> Result<DirLock, SpoolError> {
    DirLock::try_acquire(&dir.join(layout::WRITER_LOCK))?
        .ok_or_else(|| SpoolError::invalid(format!("{} is written by another process", dir.display())))
}

impl SpoolWriter {
    /// Makes the spool anew when somebody deleted or moved it: the current segment, of which this process has an image, under the
    /// same writer id, so that the service takes what it lacks and no point twice. What was in older segments and not sent is lost,
    /// and the drainer will say which sequences.
    pub(super) fn restore(&mut self) -> Result<(), SpoolError> {
        let segment = self.dir.join(layout::segment_name(self.segment.index()));
        if fs::exists(&segment).unwrap_or(true) {
            return Ok(());
        }
        let disk = Arc::clone(&self.options.disk);
        if self.dir.is_dir() {
            // Before the segment, which is what `restore` goes by.
            if !self.dir.join(layout::META_FILE).exists() {
                self.meta.store(&self.dir, &*disk)?;
            }
            if !self.dir.join(layout::WRITER_LOCK).exists() {
                self.lock = lock(&self.dir)?;
            }
            self.segment = self.segment.recreate(&self.dir)?;
        } else {
            make_root(&self.root, &*disk)?;
            let old = &self.segment;
            (self.lock, self.segment) = make_spool(&self.root, &mut self.meta, &*disk, |dir, _| old.recreate(dir))?;
        }
        // What was synced is gone.
        self.synced = Arc::default();
        self.notice = Some(format!(
            "{} was deleted while this process logs to it; it was made anew, and what had not been sent before its last {} KiB is lost; \
             leave it alone, it is deleted by itself once everything is stored",
            self.dir.display(),
            self.segment.end().div_ceil(1024)
        ));
        Ok(())
    }
}
