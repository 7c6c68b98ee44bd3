//! A segment that is being written: a preallocated file, mapped.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

use super::disk::Disk;
use super::error::SpoolError;
use super::frame::{framed, Frame, PREFIX_BYTES};
use super::header::{SegmentHeader, HEADER_BYTES};
use super::layout;

/// The pages of a segment are made present this many bytes at a time, by writing zeros. On ext4 a page costs 1 us that way (the page
/// cache takes large folios) and 5 us when it faults in from space that was only reserved.
const POPULATE_BYTES: usize = 256 << 10;
static ZEROS: [u8; POPULATE_BYTES] = [0; POPULATE_BYTES];

/// The file and its mapping, kept alive by whoever writes or syncs it.
#[derive(Debug)]
pub(super) struct Mapped {
    file: File,
    map: MmapRaw,
}

impl Mapped {
    /// The first `bytes` bytes survive power loss when this returns.
    pub fn sync(&self, bytes: usize) -> io::Result<()> {
        self.map.flush_range(0, bytes.min(self.map.len()))?;
        self.file.sync_data()
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    mapped: Arc<Mapped>,
    index: u32,
    /// Where the next record begins.
    end: usize,
    /// Up to here the pages are present. Nothing was ever written behind it.
    populated: usize,
    /// The disk has no room for the rest after all.
    given_up: bool,
}

impl Segment {
    /// Creates the segment file of `header` in `dir`. It appears there under its name only when it is complete.
    pub fn create(dir: &Path, header: &SegmentHeader, bytes: usize, disk: &dyn Disk) -> Result<Segment, SpoolError> {
        let name = layout::segment_name(header.index);
        let temporary = dir.join(format!(".{name}.new"));
        let made =
            make(&temporary, header, bytes, disk).map_err(|e| ("create", temporary.clone(), e)).and_then(|mapped| {
                let path = dir.join(&name);
                fs::rename(&temporary, &path).map_err(|e| ("rename", path, e))?;
                Ok(mapped)
            });
        match made {
            Ok(mapped) => Ok(Segment {
                mapped: Arc::new(mapped),
                index: header.index,
                end: HEADER_BYTES,
                populated: HEADER_BYTES,
                given_up: false,
            }),
            Err((action, path, e)) => {
                // Best effort: the file is worth nothing, and the error that matters is the first one.
                let _ = fs::remove_file(&temporary);
                Err(SpoolError::io(action, &path, e))
            }
        }
    }

    pub fn index(&self) -> u32 {
        self.index
    }

    /// Bytes written so far, the header included.
    pub fn end(&self) -> usize {
        self.end
    }

    pub fn room(&self) -> usize {
        if self.given_up {
            0
        } else {
            self.mapped.map.len() - self.end
        }
    }

    pub fn mapped(&self) -> Arc<Mapped> {
        Arc::clone(&self.mapped)
    }

    /// Writes one record; false, and nothing written, when there is no room for it.
    #[allow(unsafe_code)]
    pub fn append(&mut self, frame: &Frame<'_>) -> bool {
        let body_bytes = frame.body_bytes();
        let total = framed(body_bytes);
        if total > self.room() || !self.populate(self.end + total) {
            return false;
        }
        // SAFETY: `end + total` lies within the mapping (checked above), which this value owns and which nobody else in this process
        // reads or writes; other processes only read it, through the file. `end` is a multiple of 8 and a mapping begins at a page,
        // so the length word is aligned for an AtomicU32. The file keeps its length as long as the spool exists, so the pages are
        // there. The Release store publishes the record: whoever sees a length sees the bytes that it covers.
        unsafe {
            let start = self.mapped.map.as_mut_ptr().add(self.end);
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

    /// Makes the pages up to there present. False when the disk has no room for one of them after all (file systems that copy on
    /// write do not keep the promise of `fallocate`), which would be a SIGBUS if it were touched.
    fn populate(&mut self, until: usize) -> bool {
        while self.populated < until {
            let end = (self.populated + 1).next_multiple_of(POPULATE_BYTES).min(self.mapped.map.len());
            let bytes = end - self.populated;
            if self.mapped.file.write_all_at(&ZEROS[..bytes], self.populated as u64).is_err() {
                self.given_up = true;
                return false;
            }
            // Only saves the faults. Kernels before 5.14 do not know the advice.
            #[cfg(target_os = "linux")]
            let _ = self.mapped.map.advise_range(memmap2::Advice::PopulateWrite, self.populated, bytes);
            self.populated = end;
        }
        true
    }

    /// Forgets the mapping without touching it: for a forked child, whose parent goes on writing there.
    pub fn abandon(self) {
        std::mem::forget(self.mapped);
    }
}

fn make(path: &Path, header: &SegmentHeader, bytes: usize, disk: &dyn Disk) -> io::Result<Mapped> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    disk.allocate(&file, bytes as u64)?;
    file.write_all_at(&header.encode(), 0)?;
    let map = MmapOptions::new().len(bytes).map_raw(&file)?;
    Ok(Mapped { file, map })
}
