//! The file of a segment and its image in memory, which is the mapped file itself or is written to it now and then.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memmap2::{MmapMut, MmapRaw};

use super::disk::Disk;
use super::options::WriteMode;

/// Pages are made present this many bytes at a time, by writing zeros. On ext4 a page costs 1 us that way (the page cache takes
/// large folios) and 5 us when it faults in from space that was only reserved.
const PIECE_BYTES: usize = 128 << 10;
static ZEROS: [u8; PIECE_BYTES] = [0; PIECE_BYTES];
/// No further piece ahead after this time: where the system has no page at hand, each may cost 10 us. Smaller pieces would be met
/// by more than one call of 10 metrics in a thousand.
const AHEAD_TIME: Duration = Duration::from_micros(100);

/// How the files of the segments are made.
#[derive(Clone, Debug)]
pub(super) struct Medium {
    pub mode: WriteMode,
    /// Pages are made present so far ahead.
    pub ahead_bytes: usize,
    pub disk: Arc<dyn Disk>,
}

/// Kept alive by whoever writes or syncs it.
#[derive(Debug)]
pub(super) struct Backing {
    pub file: File,
    pub image: MmapRaw,
    /// The image is memory of this process and not the file.
    pub buffered: bool,
    pub medium: Medium,
}

impl Backing {
    /// Makes the file at `path`, with `contents` and room for `bytes` bytes.
    pub fn make(path: &Path, contents: &[u8], bytes: usize, medium: &Medium) -> io::Result<Backing> {
        let disk = &medium.disk;
        let file = disk.create(path)?;
        let mapped = match medium.mode {
            WriteMode::Buffered => None,
            WriteMode::Auto | WriteMode::Mapped => {
                disk.allocate(&file, bytes as u64)?;
                match disk.map(&file, bytes) {
                    Err(e) if medium.mode == WriteMode::Auto && cannot_map(&e) => None,
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
        Ok(Backing { file, image, buffered, medium: medium.clone() })
    }

    /// The first `bytes` bytes survive power loss when this returns, as far as they are in the file.
    pub fn sync(&self, bytes: usize) -> io::Result<()> {
        self.medium.disk.sync_file(&self.file, (!self.buffered).then_some((&self.image, bytes)))
    }

    pub fn write_at(&self, bytes: &[u8], at: usize) -> io::Result<()> {
        self.medium.disk.write_at(&self.file, bytes, at as u64)
    }

    /// Makes the pages from `from` to `until` present, and some more when that goes fast. Says up to where they are; an error says
    /// that the disk has no room for one of them after all (file systems that copy on write do not keep the promise of `fallocate`),
    /// which would be a SIGBUS if it were touched.
    pub fn populate(&self, from: usize, until: usize) -> io::Result<usize> {
        let (began, goal) = (Instant::now(), (from + 1).next_multiple_of(self.medium.ahead_bytes));
        let mut present = from;
        while present < until || (present < goal && began.elapsed() < AHEAD_TIME) {
            let piece = PIECE_BYTES.min(self.medium.ahead_bytes);
            let end = (present + 1).next_multiple_of(piece).min(self.image.len());
            if end == present {
                break;
            }
            self.write_at(&ZEROS[..end - present], present)?;
            present = end;
        }
        // Only saves the faults. Kernels before 5.14 do not know the advice.
        #[cfg(target_os = "linux")]
        let _ = self.image.advise_range(memmap2::Advice::PopulateWrite, from, present - from);
        Ok(present)
    }
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
