//! A segment that is being written: an image of the file in memory, which is the mapped file itself or is written to it now and then.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use memmap2::{MmapMut, MmapRaw};

use super::disk::Disk;
use super::error::SpoolError;
use super::frame::{framed, Frame, PREFIX_BYTES};
use super::header::SegmentHeader;
use super::layout;
use super::options::WriteMode;

/// The pages of a segment are made present this many bytes at a time, by writing zeros. On ext4 a page costs 1 us that way (the page
/// cache takes large folios) and 5 us when it faults in from space that was only reserved.
const POPULATE_BYTES: usize = 256 << 10;
static ZEROS: [u8; POPULATE_BYTES] = [0; POPULATE_BYTES];

/// The file and its image, kept alive by whoever writes or syncs it.
#[derive(Debug)]
pub(super) struct Backing {
    file: File,
    image: MmapRaw,
    /// The image is memory of this process and not the file.
    buffered: bool,
    disk: Arc<dyn Disk>,
}

impl Backing {
    /// The first `bytes` bytes survive power loss when this returns, as far as they are in the file.
    pub fn sync(&self, bytes: usize) -> io::Result<()> {
        self.disk.sync_file(&self.file, (!self.buffered).then_some((&self.image, bytes)))
    }
}

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
    pub fn create(
        dir: &Path,
        header: SegmentHeader,
        bytes: usize,
        mode: WriteMode,
        disk: &Arc<dyn Disk>,
    ) -> Result<Segment, SpoolError> {
        Segment::with(dir, header, &header.encode(), bytes, mode, disk)
    }

    /// Makes the file anew, with what is in it, after somebody deleted it.
    pub fn recreate(&self, dir: &Path) -> Result<Segment, SpoolError> {
        let mode = if self.is_buffered() { WriteMode::Buffered } else { WriteMode::Mapped };
        Segment::with(dir, self.header, self.image(), self.backing.image.len(), mode, &self.backing.disk)
    }

    fn with(
        dir: &Path,
        header: SegmentHeader,
        contents: &[u8],
        bytes: usize,
        mode: WriteMode,
        disk: &Arc<dyn Disk>,
    ) -> Result<Segment, SpoolError> {
        let name = layout::segment_name(header.index);
        let temporary = dir.join(format!(".{name}.new"));
        let made = make(&temporary, contents, bytes, mode, disk)
            .map_err(|e| ("create", temporary.clone(), e))
            .and_then(|backing| {
                let path = dir.join(&name);
                disk.rename(&temporary, &path).map_err(|e| ("rename", path, e))?;
                Ok(backing)
            });
        match made {
            Ok(backing) => Ok(Segment {
                populated: if backing.buffered { backing.image.len() } else { contents.len() },
                backing: Arc::new(backing),
                header,
                end: contents.len(),
                written: contents.len(),
                given_up: false,
            }),
            Err((action, path, e)) => {
                // Best effort: the file is worth nothing, and the error that matters is the first one.
                let _ = disk.remove(&temporary);
                Err(SpoolError::io(action, &path, e))
            }
        }
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
        if total > self.room() || (self.end + total > self.populated && !self.populate(self.end + total)) {
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
        let Backing { disk, file, .. } = &*self.backing;
        disk.write_at(file, &self.image()[commit..], commit as u64)?;
        disk.write_at(file, &self.image()[from..commit], from as u64)?;
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

    /// Makes the pages up to there present. False when the disk has no room for one of them after all (file systems that copy on
    /// write do not keep the promise of `fallocate`), which would be a SIGBUS if it were touched.
    #[cold]
    fn populate(&mut self, until: usize) -> bool {
        let Backing { disk, file, image, .. } = &*self.backing;
        while self.populated < until {
            let end = (self.populated + 1).next_multiple_of(POPULATE_BYTES).min(image.len());
            let bytes = end - self.populated;
            if disk.write_at(file, &ZEROS[..bytes], self.populated as u64).is_err() {
                self.given_up = true;
                return false;
            }
            // Only saves the faults. Kernels before 5.14 do not know the advice.
            #[cfg(target_os = "linux")]
            let _ = image.advise_range(memmap2::Advice::PopulateWrite, self.populated, bytes);
            self.populated = end;
        }
        true
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

fn make(path: &Path, contents: &[u8], bytes: usize, mode: WriteMode, disk: &Arc<dyn Disk>) -> io::Result<Backing> {
    let file = disk.create(path)?;
    let mapped = match mode {
        WriteMode::Buffered => None,
        WriteMode::Auto | WriteMode::Mapped => {
            disk.allocate(&file, bytes as u64)?;
            match disk.map(&file, bytes) {
                Err(e) if mode == WriteMode::Auto && cannot_map(&e) => None,
                mapped => Some(mapped?),
            }
        }
    };
    disk.write_at(&file, contents, 0)?;
    let buffered = mapped.is_none();
    let image = match mapped {
        Some(image) => image,
        None => memory(contents, bytes)?,
    };
    Ok(Backing { file, image, buffered, disk: Arc::clone(disk) })
}

/// Pages of this process, which cost nothing until they are used.
fn memory(contents: &[u8], bytes: usize) -> io::Result<MmapRaw> {
    let mut memory = MmapMut::map_anon(bytes)?;
    memory[..contents.len()].copy_from_slice(contents);
    Ok(memory.into())
}

/// The file system has no mappings that are written, as opposed to: this process may have no further one.
fn cannot_map(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::NODEV, Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}
