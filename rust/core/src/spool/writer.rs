//! Appends records to a spool. Not shared between threads: the caller has a lock around it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::Arc;

use super::definitions::Uses;
use super::dictionary::{Dictionary, MAX_NAMES};
use super::directory;
use super::error::SpoolError;
use super::frame::{framed, Frame, MAX_BODY_BYTES};
use super::gap::{Gap, GAP_RESERVE};
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
use crate::record::Record;

/// Rows leave this much of a segment to control records, and those leave `GAP_RESERVE` to a gap record: so a run can be
/// finished, and say what it lost, on a disk that is full.
pub(super) const CONTROL_RESERVE: usize = 1024;
/// Arrays are cut here, so that no record makes a reader hold more than a mebibyte.
const ARRAY_POINTS: usize = 64 << 10;
/// The rest of a segment is filled with a piece of an array only when it is worth a record.
const LEAST_ARRAY_POINTS: usize = 1024;

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
    sealed: bool,
    pub(super) stats: WriterStats,
    /// The segment that was the last one when `sync` last succeeded.
    pub(super) synced: Arc<AtomicU32>,
    /// When a writer that gathers last wrote, by the clock of its records.
    last_write_ms: i64,
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

    /// One row; one value a name of the key set. Returns its sequence. An error of kind `Full` or `Io` means that the row found no
    /// room; it is counted for the gap record. One that `is_busy()` says that there may be room later; nothing is counted.
    pub fn append_row(&mut self, keyset: u32, step: i64, time_ms: i64, values: &[f64]) -> Result<u64, SpoolError> {
        let names = self.dictionary.keyset(keyset).map_or(0, |entry| entry.content.len());
        if values.is_empty() || values.len() != names {
            return Err(SpoolError::invalid(format!("{} values for a key set of {names} names", values.len())));
        }
        let seq = self.next_seq;
        let record = Record::Row { seq, time_ms, step, keyset, values };
        self.take(Uses::KeySet(keyset), &record, values.len() as u64, time_ms)?;
        self.next_seq += 1;
        Ok(seq)
    }

    /// One row with its names, which must be different ones.
    pub fn append_sparse(&mut self, names: &[u32], step: i64, time_ms: i64, values: &[f64]) -> Result<u64, SpoolError> {
        if values.is_empty() || values.len() != names.len() || !self.dictionary.are_known(names) {
            return Err(SpoolError::invalid(format!("{} values for {} known names", values.len(), names.len())));
        }
        let seq = self.next_seq;
        let record = Record::Sparse { seq, time_ms, step, names, values };
        self.take(Uses::Names(names), &record, values.len() as u64, time_ms)?;
        self.next_seq += 1;
        Ok(seq)
    }

    /// Points of one metric, cut into several records when they are many. Returns their first sequence. After an error the points
    /// of the records before it are kept (`last_seq` says how many), the rest is counted for the gap record, unless the error
    /// `is_busy()`.
    pub fn append_array(&mut self, name: u32, time_ms: i64, steps: &[i64], values: &[f64]) -> Result<u64, SpoolError> {
        if values.is_empty() || values.len() != steps.len() || !self.dictionary.are_known(&[name]) {
            return Err(SpoolError::invalid(format!(
                "{} steps and {} values of a known name",
                steps.len(),
                values.len()
            )));
        }
        let first = self.next_seq;
        let mut done = 0;
        while done < values.len() {
            let count = self.array_piece(values.len() - done);
            let (seq, range) = (self.next_seq, done..done + count);
            let record = Record::Array { seq, time_ms, name, steps: &steps[range.clone()], values: &values[range] };
            if let Err(e) = self.take(Uses::Names(&[name]), &record, count as u64, time_ms) {
                if !e.is_busy() {
                    self.count_lost((values.len() - done - count) as u64, time_ms);
                }
                return Err(e);
            }
            self.next_seq += count as u64;
            done += count;
        }
        Ok(first)
    }

    /// A JSON object for the run itself. Returns its ordinal.
    pub fn append_control(&mut self, time_ms: i64, json: &str) -> Result<u64, SpoolError> {
        if !self.sealed {
            // A new segment may begin with a gap record, which takes an ordinal.
            let draft = Frame::new(&Record::Control { ordinal: self.next_control, json });
            self.reserve(Uses::Nothing, &draft, time_ms)?;
        }
        let ordinal = self.next_control;
        self.take(Uses::Nothing, &Record::Control { ordinal, json }, 0, time_ms)?;
        self.next_control += 1;
        Ok(ordinal)
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

    fn array_piece(&self, left: usize) -> usize {
        let whole = self.options.usual_segment(self.is_buffered()) - HEADER_BYTES - 2 * CONTROL_RESERVE;
        let room = self.segment.room().saturating_sub(2 * CONTROL_RESERVE) / 16;
        let most = if room >= LEAST_ARRAY_POINTS { room } else { whole / 16 };
        left.min(most).clamp(1, ARRAY_POINTS)
    }

    fn take(&mut self, uses: Uses<'_>, record: &Record<'_>, points: u64, time_ms: i64) -> Result<(), SpoolError> {
        if self.sealed {
            return Err(SpoolError::closed());
        }
        let frame = Frame::new(record);
        if frame.body_bytes() > MAX_BODY_BYTES {
            return Err(SpoolError::invalid(format!(
                "a record of {} bytes is too large; log fewer values in one call",
                frame.body_bytes()
            )));
        }
        match self.write(uses, &frame, time_ms) {
            Ok(()) => {
                self.stats.points += points;
                self.stats.records += 1;
                if self.segment.is_buffered() {
                    self.pace(points == 0, time_ms);
                }
                Ok(())
            }
            Err(e) if e.is_busy() => Err(e),
            Err(e) => {
                self.count_lost(points, time_ms);
                Err(e)
            }
        }
    }

    fn write(&mut self, uses: Uses<'_>, frame: &Frame<'_>, time_ms: i64) -> Result<(), SpoolError> {
        self.reserve(uses, frame, time_ms)?;
        if self.define(uses) && self.append(frame) {
            return Ok(());
        }
        let error = SpoolError::no_room(&self.dir);
        self.gap.get_or_insert_with(|| Gap::new(&error, time_ms));
        Err(error)
    }

    /// Makes sure that the segment has room for a record and what it uses.
    #[inline]
    fn reserve(&mut self, uses: Uses<'_>, frame: &Frame<'_>, time_ms: i64) -> Result<(), SpoolError> {
        let is_control = matches!(uses, Uses::Nothing);
        let reserve = if is_control { GAP_RESERVE } else { CONTROL_RESERVE };
        let record = framed(frame.body_bytes());
        if self.definition_bytes(uses, self.segment.index()) + record + reserve > self.segment.room() {
            self.roll(self.definition_bytes(uses, 0), record, is_control, time_ms)?;
        }
        Ok(())
    }

    pub(super) fn append(&mut self, frame: &Frame<'_>) -> bool {
        if self.segment.is_short_of_pages(framed(frame.body_bytes())) {
            self.work_ahead();
        }
        let before = self.segment.end();
        let done = self.segment.append(frame);
        self.stats.bytes += (self.segment.end() - before) as u64;
        done
    }

    /// Decides, after each record of a writer that gathers, whether to write. The first record after a pause is written with the
    /// call, so that a run that logs rarely never has any in memory.
    fn pace(&mut self, at_once: bool, time_ms: i64) {
        let pause = i64::try_from(self.options.write_pause.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back must not stop the writing.
        let waits = (self.last_write_ms..self.last_write_ms.saturating_add(pause)).contains(&time_ms);
        if at_once || !waits || self.segment.unwritten() >= self.options.write_bytes {
            self.last_write_ms = time_ms;
            // What cannot be written now is tried again, and `tend` says so; without success the segment fills up and the next one
            // is refused.
            let _ = self.write_out();
        }
    }

    pub(super) fn write_out(&mut self) -> Result<(), SpoolError> {
        if self.segment.unwritten() == 0 {
            return Ok(());
        }
        let path = self.dir.join(layout::segment_name(self.segment.index()));
        self.segment.write_out().map_err(|e| SpoolError::io("write", &path, e))
    }

    /// Counts points that would have followed those of an append that found no room.
    pub fn count_lost(&mut self, points: u64, time_ms: i64) {
        if let Some(gap) = &mut self.gap {
            gap.count(points, time_ms);
            self.stats.lost_points += points;
        }
    }
}
