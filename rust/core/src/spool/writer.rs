//! Appends records to a spool. Not shared between threads: the caller has a lock around it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::Arc;

use super::dictionary::{Dictionary, MAX_NAMES};
use super::directory;
use super::error::SpoolError;
use super::gap::Gap;
use super::header::HEADER_BYTES;
use super::layout;
use super::lock::DirLock;
use super::meta::{SpoolMeta, META_VERSION};
use super::options::{WriteMode, WriterOptions, WriterStats};
use super::quota::Quota;
use super::segment::Segment;
use super::spare::Ahead;
use super::sync::SyncHandle;
use crate::id::WriterId;

#[derive(Debug)]
pub struct SpoolWriter {
    pub(super) root: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) id: WriterId,
    pub(super) meta: SpoolMeta,
    pub(super) options: WriterOptions,
    pub(super) dictionary: Dictionary,
    pub(super) segment: Segment,
    pub(super) next_seq: u64,
    pub(super) next_control: u64,
    pub(super) gap: Option<Gap>,
    pub(super) quota: Quota,
    pub(super) ahead: Ahead,
    /// At the limit points are refused, although the policy is to wait: somebody has waited long enough.
    pub(super) waited_in_vain: bool,
    pub(super) sealed: bool,
    pub(super) stats: WriterStats,
    /// The segment that was the last one when `sync` last succeeded.
    pub(super) synced: Arc<AtomicU32>,
    /// When a writer that gathers last wrote, by the clock of its records.
    pub(super) last_write_ms: i64,
    pub(super) notice: Option<String>,
    pub(super) lock: DirLock,
}

impl SpoolWriter {
    /// Creates ROOT/<writer hex>/ with `spool.json` and the first segment. The id is `meta.writer`, or a new one when that is empty.
    pub fn create(root: &Path, mut meta: SpoolMeta, mut options: WriterOptions) -> Result<SpoolWriter, SpoolError> {
        if meta.writer.is_empty() {
            meta.writer = WriterId::random()
                .map_err(|e| SpoolError::io("read random bytes from", Path::new("/dev/urandom"), e))?
                .to_hex();
        }
        meta.version = META_VERSION;
        let id = meta.writer_id()?;
        let dir = root.join(&meta.writer);
        if dir.exists() {
            return Err(SpoolError::invalid(format!("{} is already there; a writer id is used once", dir.display())));
        }
        directory::make_root(root, &*options.disk)?;
        if options.write == WriteMode::Auto && options.disk.is_remote(root) {
            options.write = WriteMode::Buffered;
        }
        let (lock, segment) = directory::make_spool(root, &mut meta, &*options.disk, |dir, meta| {
            directory::first_segment(dir, meta, id, &options)
        })?;
        Ok(SpoolWriter {
            root: root.to_owned(),
            dir,
            id,
            meta,
            options,
            dictionary: Dictionary::default(),
            segment,
            next_seq: 1,
            next_control: 1,
            gap: None,
            quota: Quota::default(),
            ahead: Ahead::default(),
            waited_in_vain: false,
            sealed: false,
            stats: WriterStats { segments: 1, bytes: HEADER_BYTES as u64, ..WriterStats::default() },
            synced: Arc::default(),
            last_write_ms: i64::MIN,
            notice: None,
            lock,
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn writer_id(&self) -> WriterId {
        self.id
    }

    /// The number of a metric name in this spool.
    pub fn name_id(&mut self, name: &str) -> Result<u32, SpoolError> {
        self.dictionary.name_id(name).ok_or_else(|| {
            SpoolError::invalid(format!(
                "metric {name:?} is one name too many: a run has at most {MAX_NAMES} metrics; \
                 keep steps and other counters out of names"
            ))
        })
    }

    pub fn name(&self, id: u32) -> Option<&str> {
        self.dictionary.name(id).map(|entry| &*entry.content)
    }

    /// The number of a list of different names. None when there are too many lists already: use `append_sparse`.
    pub fn keyset_id(&mut self, names: &[u32]) -> Option<u32> {
        self.dictionary.keyset_id(names)
    }

    pub fn keyset(&self, id: u32) -> Option<&[u32]> {
        self.dictionary.keyset(id).map(|entry| &*entry.content)
    }

    /// Counts points that were lost before this writer could be made, and says so in a gap record.
    pub fn add_lost(&mut self, points: u64, time_ms: i64, why: &SpoolError) {
        self.gap.get_or_insert_with(|| Gap::new(why, time_ms));
        self.count_lost(points, time_ms);
        self.write_gap();
    }

    /// Everything appended so far survives power loss when this returns.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.sync_handle()?.run()
    }

    /// `sync`, to be run without the lock that is around this writer.
    pub fn sync_handle(&mut self) -> Result<SyncHandle, SpoolError> {
        self.restore()?;
        self.write_out()?;
        Ok(SyncHandle::new(&self.root, &self.dir, &self.segment, &self.synced, &self.options.disk))
    }

    /// To be called now and then: brings what only this process has to the file, and makes a spool anew that somebody deleted.
    pub fn tend(&mut self) -> Result<(), SpoolError> {
        self.restore()?;
        self.write_out()
    }

    /// What people should know and no call has failed for; each is given once.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Somebody has waited long enough: from here to the next room, points at the limit are refused and counted.
    pub fn stop_waiting(&mut self) {
        self.waited_in_vain = true;
    }

    /// No further record. May be repeated.
    pub fn seal(&mut self) -> Result<(), SpoolError> {
        if !self.sealed {
            self.restore()?;
            // The reserve of the segment holds it, even when the disk is still full.
            self.write_gap();
            self.write_out()?;
            layout::seal(&self.dir, self.last_seq(), self.last_control(), &*self.options.disk)?;
            self.sealed = true;
            self.drop_spare();
        }
        Ok(())
    }

    /// For a forked child: closes the child's copy of the lock, so that the parent's death can be seen, and forgets the mapping
    /// without touching it. The child then creates a spool of its own.
    pub fn abandon(self) {
        self.ahead.abandon();
        self.segment.abandon();
    }

    /// 0 when nothing was appended.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    pub fn last_control(&self) -> u64 {
        self.next_control - 1
    }

    pub fn stats(&self) -> WriterStats {
        self.stats
    }

    /// Records are gathered in memory and written now and then.
    pub fn is_buffered(&self) -> bool {
        self.segment.is_buffered()
    }

    /// Counts points that would have followed those of an append that found no room.
    pub fn count_lost(&mut self, points: u64, time_ms: i64) {
        if let Some(gap) = &mut self.gap {
            gap.count(points, time_ms);
            self.stats.lost_points += points;
        }
    }
}
