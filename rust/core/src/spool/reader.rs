//! Reads a spool from the outside, also while it is being written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::continuity::Continuity;
use super::cursor::{read_header, Body, Cursor};
use super::disk::{Disk, RealDisk};
use super::error::SpoolError;
use super::header::SegmentHeader;
use super::layout;
use super::listing::Listing;
use super::lock::{DirLock, LockWatch};
use super::meta::SpoolMeta;
use super::sync::sync_path;
use super::tail;
use crate::id::WriterId;
use crate::record::Record;

#[derive(Debug)]
pub struct SpoolReader {
    dir: PathBuf,
    meta: SpoolMeta,
    writer: WriterId,
    /// The headers read so far; they never change.
    headers: BTreeMap<u32, SegmentHeader>,
    /// The segment that is being read; None between segments.
    cursor: Option<Cursor>,
    /// Its index, or that of the one before the next.
    index: u32,
    /// The rest of the segment is damaged; its prefix was delivered.
    damaged: bool,
    continuity: Continuity,
    after_seq: u64,
    after_control: u64,
    /// All segments below this index are synced, and the names of those up to it.
    synced: u32,
    named: u32,
    /// The spool had no segment after the current one.
    listing: Option<Listing>,
    writer_lock: OnceLock<LockWatch>,
}

impl SpoolReader {
    pub fn open(dir: &Path) -> Result<SpoolReader, SpoolError> {
        let meta = SpoolMeta::load(dir)?;
        let writer = meta.writer_id()?;
        Ok(SpoolReader {
            dir: dir.to_owned(),
            meta,
            writer,
            headers: BTreeMap::new(),
            cursor: None,
            index: 0,
            damaged: false,
            continuity: Continuity::default(),
            after_seq: 0,
            after_control: 0,
            synced: 0,
            named: 0,
            listing: None,
            writer_lock: OnceLock::new(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn meta(&self) -> &SpoolMeta {
        &self.meta
    }

    pub fn writer_id(&self) -> WriterId {
        self.writer
    }

    /// From here on `next` leaves out rows and arrays with nothing above `after_seq` and control records up to `after_control`. An
    /// array that `after_seq` lies in comes whole. Definitions come in any case.
    pub fn seek(&mut self, after_seq: u64, after_control: u64) -> Result<(), SpoolError> {
        self.cursor = None;
        self.damaged = false;
        self.continuity = Continuity::default();
        self.listing = None;
        (self.after_seq, self.after_control) = (after_seq, after_control);
        let start = self.last_segment_up_to(after_seq, after_control)?;
        // Without such a segment reading begins with the first that is there.
        self.index = start.map_or(0, |index| index - 1);
        Ok(())
    }

    /// The next record; None when there is none at present. After an error with `is_corrupt()` the next call goes on with the next
    /// segment, so that sequences jump there.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, SpoolError> {
        let Some(body) = self.find()? else { return Ok(None) };
        match &self.cursor {
            Some(cursor) => cursor.record(&body).map(Some).map_err(|what| cursor.corrupt_record(what)),
            None => Ok(None),
        }
    }

    /// The lowest sequence and the lowest ordinal that the spool can still give, or would give next when it is empty.
    pub fn first_available(&mut self) -> Result<(u64, u64), SpoolError> {
        let mut listed = layout::segments(&self.dir)?;
        loop {
            for index in &listed {
                if let Some(header) = self.header(*index)? {
                    return Ok((header.first_seq, header.first_control));
                }
            }
            // They may be gone since they were listed.
            let before = std::mem::replace(&mut listed, layout::segments(&self.dir)?);
            if listed == before {
                return Ok((1, 1));
            }
        }
    }

    /// The highest sequence and the highest ordinal that can be read.
    pub fn last(&mut self) -> Result<(u64, u64), SpoolError> {
        tail::last(&self.dir, self.writer)
    }

    pub fn writer_alive(&self) -> bool {
        let path = self.dir.join(layout::WRITER_LOCK);
        match self.writer_lock.get() {
            Some(lock) if lock.is_held() => return true,
            Some(_) => {}
            None => {
                if let Some(lock) = LockWatch::open(&path) {
                    let _ = self.writer_lock.set(lock);
                }
            }
        }
        // It may be another file by now.
        DirLock::held(&path)
    }

    pub fn is_sealed(&self) -> bool {
        self.dir.join(layout::SEALED_FILE).exists()
    }

    /// The sequence up to which `release` would delete what lies here; None when it would delete nothing.
    pub fn releasable(&mut self, acked_seq: u64, acked_control: u64) -> Result<Option<u64>, SpoolError> {
        let segments = layout::segments(&self.dir)?;
        let kept = self.last_up_to(&segments, acked_seq, acked_control)?;
        let Some(kept) = kept.filter(|kept| segments.first() != Some(kept)) else { return Ok(None) };
        Ok(self.header(kept)?.map(|header| header.first_seq - 1))
    }

    /// Deletes the segments that hold nothing above these, but never the last one; returns how many.
    pub fn release(&mut self, acked_seq: u64, acked_control: u64) -> Result<u32, SpoolError> {
        let Some(keep_from) = self.last_segment_up_to(acked_seq, acked_control)? else { return Ok(0) };
        let mut deleted = 0;
        for index in layout::segments(&self.dir)?.into_iter().filter(|index| *index < keep_from) {
            let path = self.dir.join(layout::segment_name(index));
            match fs::remove_file(&path) {
                // The writer dropped it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|e| SpoolError::io("delete", &path, e))?,
            }
            self.headers.remove(&index);
            deleted += 1;
        }
        Ok(deleted)
    }

    /// After `next` has given None: the sequence and the ordinal up to which everything was given or can never be.
    pub fn passed(&self) -> Option<(u64, u64)> {
        self.continuity.next().map(|(seq, control)| (seq - 1, control - 1))
    }

    /// Nobody writes any more and nothing lies above these.
    pub fn is_drained(&mut self, acked_seq: u64, acked_control: u64) -> Result<bool, SpoolError> {
        // First this question: whoever dies after it was alive may have written until then.
        if !self.is_sealed() && self.writer_alive() {
            return Ok(false);
        }
        if self.passed().is_some_and(|(seq, control)| seq > acked_seq || control > acked_control) {
            return Ok(false);
        }
        let (last_seq, last_control) = self.last()?;
        Ok(last_seq <= acked_seq && last_control <= acked_control)
    }

    /// What was written before this call survives power loss when it returns.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.sync_on(&RealDisk)
    }

    /// The same on a disk of the caller.
    pub fn sync_on(&mut self, disk: &dyn Disk) -> Result<(), SpoolError> {
        let segments = layout::segments(&self.dir)?;
        let Some(last) = segments.last().copied() else { return Ok(()) };
        for index in segments.into_iter().filter(|index| *index >= self.synced) {
            sync_path(&self.dir.join(layout::segment_name(index)), disk)?;
        }
        if self.named < last {
            sync_path(&self.dir.join(layout::META_FILE), disk)?;
            sync_path(&self.dir, disk)?;
            if let Some(root) = self.dir.parent().filter(|_| self.named == 0) {
                sync_path(root, disk)?;
            }
        }
        (self.synced, self.named) = (last, last);
        Ok(())
    }

    /// The sequence up to which the writer has deleted what was not sent, because the spool was at its limit; 0 when it never did.
    pub fn dropped_up_to(&self) -> u64 {
        layout::dropped_up_to(&self.dir).0
    }

    /// Deletes the spool. Hold `drain.lock`.
    pub fn remove(self) -> Result<(), SpoolError> {
        // Out of sight first, so that nobody finds half a spool.
        let hidden = self.dir.with_file_name(format!(".old-{}", self.meta.writer));
        fs::rename(&self.dir, &hidden).map_err(|e| SpoolError::io("rename", &self.dir, e))?;
        fs::remove_dir_all(&hidden).map_err(|e| SpoolError::io("delete", &hidden, e))
    }

    /// Steps to the next record that is to be delivered.
    fn find(&mut self) -> Result<Option<Body>, SpoolError> {
        let mut reopened = false;
        loop {
            let body = match self.step()? {
                Some(body) => body,
                None => match self.later_segment(reopened)? {
                    // The writer made the next segment after its last record in this one, so that one is visible by now.
                    Some(index) => match self.step()? {
                        Some(body) => body,
                        None => {
                            self.enter(index)?;
                            continue;
                        }
                    },
                    None if self.ends_well() => {
                        self.pass_lost_end()?;
                        return Ok(None);
                    }
                    // On a network file system the end can be seen before the last records.
                    None if !reopened => {
                        reopened = true;
                        self.cursor.iter_mut().for_each(Cursor::reopen);
                        continue;
                    }
                    None => return Err(self.missing_end()),
                },
            };
            if self.accept(&body)? {
                return Ok(Some(body));
            }
        }
    }

    /// Steps over the next record of the current segment; None at its end.
    fn step(&mut self) -> Result<Option<Body>, SpoolError> {
        match &mut self.cursor {
            // An error of the disk may pass; damage does not.
            Some(cursor) if !self.damaged => cursor.advance().inspect_err(|e| self.damaged = e.is_corrupt()),
            _ => Ok(None),
        }
    }

    /// Checks the record that was stepped over; false when it is not to be delivered.
    fn accept(&mut self, body: &Body) -> Result<bool, SpoolError> {
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let checked = cursor.record(body).and_then(|record| {
            self.continuity.accept(&record)?;
            Ok(match record {
                Record::Control { ordinal, .. } => ordinal > self.after_control,
                _ => record.seqs().is_none_or(|(_, last)| last > self.after_seq),
            })
        });
        checked.map_err(|what| {
            self.damaged = true;
            cursor.corrupt_record(what)
        })
    }

    /// The index of the segment after the current one. Unless it must be known `surely`, one that was just made may be found later.
    fn later_segment(&mut self, surely: bool) -> Result<Option<u32>, SpoolError> {
        if !surely && self.listing.as_ref().is_some_and(|listing| listing.holds(&self.dir)) {
            return Ok(None);
        }
        let listing = Listing::begin(&self.dir);
        let found = layout::segments(&self.dir)?.into_iter().find(|index| *index > self.index);
        self.listing = listing.filter(|_| found.is_none());
        Ok(found)
    }

    /// Goes on with segment `index`.
    fn enter(&mut self, index: u32) -> Result<(), SpoolError> {
        let opened = Cursor::open(&self.dir.join(layout::segment_name(index)), index, self.writer);
        let skipped = opened.as_ref().is_err_and(|e| e.is_corrupt() || e.is_not_found());
        if opened.is_err() && !skipped {
            // An error of the disk may pass: the next call tries again.
            return opened.map(drop);
        }
        let left = self.cursor.take();
        let left_damaged = std::mem::replace(&mut self.damaged, skipped);
        self.index = index;
        let (cursor, header) = match opened {
            // Another drainer has released it in this moment.
            Err(e) if e.is_not_found() => return Ok(()),
            other => other?,
        };
        self.cursor = Some(cursor);
        let expected = self.continuity.enter(header.first_seq, header.first_control);
        match (expected.filter(|_| !self.was_dropped(&header)), left) {
            (Some(_), Some(left)) if !left_damaged => {
                Err(left.corrupt_end("records are missing before the next segment"))
            }
            _ => Ok(()),
        }
    }

    /// What lies before the segment was deleted by the writer.
    fn was_dropped(&self, header: &SegmentHeader) -> bool {
        let (seq, control) = layout::dropped_up_to(&self.dir);
        header.first_seq <= seq + 1 && header.first_control <= control + 1
    }

    /// The end of the last segment is where the writer closed the spool, as far as can be said.
    fn ends_well(&self) -> bool {
        match (layout::sealed_at(&self.dir), self.passed()) {
            (Some(sealed), Some(passed)) => self.damaged || self.cursor.is_none() || sealed == passed,
            _ => true,
        }
    }

    /// Behind damage in the last segment nothing can be read, and `sealed` says how much that was.
    fn pass_lost_end(&mut self) -> Result<(), SpoolError> {
        let Some(sealed) = layout::sealed_at(&self.dir).filter(|_| self.damaged) else { return Ok(()) };
        if self.later_segment(true)?.is_none() {
            self.continuity.pass(sealed);
        }
        Ok(())
    }

    fn missing_end(&mut self) -> SpoolError {
        self.damaged = true;
        let what = "the last records before the spool was closed are missing";
        match &self.cursor {
            Some(cursor) => cursor.corrupt_end(what),
            None => SpoolError::corrupt(&self.dir, 0, what),
        }
    }

    /// The last segment that begins at or before the record after these. All segments before it hold nothing above them.
    fn last_segment_up_to(&mut self, seq: u64, control: u64) -> Result<Option<u32>, SpoolError> {
        self.last_up_to(&layout::segments(&self.dir)?, seq, control)
    }

    /// The same of these, which go up.
    fn last_up_to(&mut self, segments: &[u32], seq: u64, control: u64) -> Result<Option<u32>, SpoolError> {
        for index in segments.iter().rev().copied() {
            let header = self.header(index)?;
            if header
                .is_some_and(|h| h.first_seq <= seq.saturating_add(1) && h.first_control <= control.saturating_add(1))
            {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The header of a segment; None when it cannot be made out.
    fn header(&mut self, index: u32) -> Result<Option<SegmentHeader>, SpoolError> {
        if let Some(header) = self.headers.get(&index) {
            return Ok(Some(*header));
        }
        match open_header(&self.dir, index, self.writer) {
            Ok(header) => {
                self.headers.insert(index, header);
                Ok(Some(header))
            }
            Err(e) if e.is_corrupt() || e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn open_header(dir: &Path, index: u32, writer: WriterId) -> Result<SegmentHeader, SpoolError> {
    let path = dir.join(layout::segment_name(index));
    let file = File::open(&path).map_err(|e| SpoolError::io("read", &path, e))?;
    read_header(&file, &path, index, writer)
}
