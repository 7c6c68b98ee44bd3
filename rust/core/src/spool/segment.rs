//! A segment that is being written.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use super::backing::{Backing, Medium};
use super::error::SpoolError;
use super::frame::{framed, Frame, PREFIX_BYTES};
use super::header::{SegmentHeader, HEADER_BYTES};
use super::layout;
use super::options::WriteMode;

#[derive(Debug)]
pub(super) struct Segment {
    backing: Arc<Backing>,
    header: SegmentHeader,
    /// Where the next record begins.
    end: usize,
    /// Up to here the pages are present. Nothing was ever written behind it.
    populated: usize,
    /// Up to here the records are in the file.
    written: usize,
    /// The disk has no room for the rest after all.
    given_up: bool,
}

impl Segment {
    /// Creates the segment file of `header` in `dir`. It appears there under its name only when it is complete.
    pub fn create(dir: &Path, header: SegmentHeader, bytes: usize, medium: &Medium) -> Result<Segment, SpoolError> {
        Segment::with(dir, header, &header.encode(), bytes, medium)
    }

    /// Makes the file anew, with what is in it, after somebody deleted it.
    pub fn recreate(&self, dir: &Path) -> Result<Segment, SpoolError> {
        let mode = if self.is_buffered() { WriteMode::Buffered } else { WriteMode::Mapped };
        let medium = Medium { mode, ..self.backing.medium.clone() };
        Segment::with(dir, self.header, self.image(), self.backing.image.len(), &medium)
    }

    /// Makes a segment of a file of zeros, at `path`, whose first `present` bytes have their pages.
    pub fn begin(
        dir: &Path,
        path: &Path,
        header: SegmentHeader,
        backing: Backing,
        present: usize,
    ) -> io::Result<Segment> {
        backing.write_at(&header.encode(), 0)?;
        backing.medium.disk.rename(path, &dir.join(layout::segment_name(header.index)))?;
        Ok(Segment::new(backing, header, HEADER_BYTES, present))
    }

    fn with(
        dir: &Path,
        header: SegmentHeader,
        contents: &[u8],
        bytes: usize,
        medium: &Medium,
    ) -> Result<Segment, SpoolError> {
        let temporary = dir.join(layout::temporary_name(header.index));
        let made = Backing::make(&temporary, contents, bytes, medium)
            .map_err(|e| ("create", temporary.clone(), e))
            .and_then(|backing| {
                let path = dir.join(layout::segment_name(header.index));
                medium.disk.rename(&temporary, &path).map_err(|e| ("rename", path, e))?;
                Ok(backing)
            });
        match made {
            Ok(backing) => {
                let populated = if backing.buffered { backing.image.len() } else { contents.len() };
                Ok(Segment::new(backing, header, contents.len(), populated))
            }
            Err((action, path, e)) => {
                // Best effort: the file is worth nothing, and the error that matters is the first one.
                let _ = medium.disk.remove(&temporary);
                Err(SpoolError::io(action, &path, e))
            }
        }
    }

    fn new(backing: Backing, header: SegmentHeader, end: usize, populated: usize) -> Segment {
        Segment { backing: Arc::new(backing), header, end, populated, written: end, given_up: false }
    }

    pub fn index(&self) -> u32 {
        self.header.index
    }

    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Bytes appended so far, the header included.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Bytes that the file takes or may take.
    pub fn size(&self) -> u64 {
        self.backing.image.len() as u64
    }

    pub fn room(&self) -> usize {
        if self.given_up {
            0
        } else {
            self.backing.image.len() - self.end
        }
    }

    pub fn is_buffered(&self) -> bool {
        self.backing.buffered
    }

    /// Bytes that only this process has.
    pub fn unwritten(&self) -> usize {
        if self.backing.buffered {
            self.end - self.written
        } else {
            0
        }
    }

    pub fn backing(&self) -> Arc<Backing> {
        Arc::clone(&self.backing)
    }

    /// Writes one record; false, and nothing written, when there is no room for it.
    #[allow(unsafe_code)]
    pub fn append(&mut self, frame: &Frame<'_>) -> bool {
        let body_bytes = frame.body_bytes();
        let total = framed(body_bytes);
        if total > self.room() || (self.is_short_of_pages(total) && !self.populate(self.end + total)) {
            return false;
        }
        // SAFETY: `end + total` lies within the image (checked above), which this value owns and which nobody else in this process
        // reads or writes there; other processes only read it, through the file. `end` is a multiple of 8 and a mapping begins at a
        // page, so the length word is aligned for an AtomicU32. A mapped file keeps its length as long as the spool exists, so the
        // pages are there. The Release store publishes the record: whoever sees a length sees the bytes that it covers.
        unsafe {
            let start = self.backing.image.as_mut_ptr().add(self.end);
            let body = start.add(PREFIX_BYTES);
            let mut at = body;
            for part in frame.parts() {
                std::ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
                at = at.add(part.len());
            }
            // Of the bytes as they lie there.
            let crc = crc32c::crc32c(std::slice::from_raw_parts(body, body_bytes));
            start.add(4).cast::<u32>().write(crc);
            (*start.cast::<AtomicU32>()).store(body_bytes as u32, Ordering::Release);
        }
        self.end += total;
        true
    }

    /// Brings the records that only this process has into the file. The first of them becomes visible last, and the others with it:
    /// so whoever reads meanwhile, or after a write that was cut short, finds whole records or none.
    pub fn write_out(&mut self) -> io::Result<()> {
        if self.unwritten() == 0 {
            return Ok(());
        }
        // Checksum and body, then the length word, which lies in one page and is never written in part.
        let (from, commit) = (self.written, self.written + size_of::<u32>());
        self.backing.write_at(&self.image()[commit..], commit)?;
        self.backing.write_at(&self.image()[from..commit], from)?;
        self.written = self.end;
        Ok(())
    }

    /// What is in the segment so far.
    #[allow(unsafe_code)]
    fn image(&self) -> &[u8] {
        // SAFETY: the image is at least `end` bytes long and lives as long as `self`; only `append` stores into it, which needs
        // `self` for itself, and never before `end`.
        unsafe { std::slice::from_raw_parts(self.backing.image.as_ptr(), self.end) }
    }

    /// The next record of so many bytes needs pages that are not present.
    #[inline]
    pub fn is_short_of_pages(&self, bytes: usize) -> bool {
        self.end + bytes > self.populated
    }

    /// Makes the pages up to there present. False when the disk has no room for them after all.
    #[cold]
    fn populate(&mut self, until: usize) -> bool {
        match self.backing.populate(self.populated, until) {
            Ok(present) => self.populated = present,
            Err(_) => self.given_up = true,
        }
        !self.given_up
    }

    /// Forgets the image without touching it: for a forked child, whose parent goes on writing there.
    pub fn abandon(mut self) {
        self.written = self.end;
        std::mem::forget(self.backing());
    }
}

impl Drop for Segment {
    /// A writer that nobody closed.
    fn drop(&mut self) {
        // Best effort: there is nobody left to tell.
        let _ = self.write_out();
    }
}
