//! The file operations of a spool, as a parameter: tests fill a disk, or take its power away, without one.
//!
//! Each operation has the real one as its default, so that a double says only what is different. None of them is called for a record:
//! those go through the memory that `map` gives.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use memmap2::{MmapOptions, MmapRaw};
#[cfg(target_os = "linux")]
use rustix::io::Errno;

use super::remote;

pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes one directory, open to its owner only.
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    /// Makes a file, or empties it; for its owner only, because a spool may hold an API key.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Reserves room for a file. After Ok every byte of the file can be stored through a mapping; without that promise a full disk
    /// would kill the training process with SIGBUS in the middle of a store.
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match fallocate(file, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => {}
            Err(e) => return Err(e.into()),
            Ok(()) => return Ok(()),
        }
        write_zeros(file, bytes)
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn map(&self, file: &File, bytes: usize) -> io::Result<MmapRaw> {
        MmapOptions::new().len(bytes).map_raw(file)
    }

    /// What was written to the file, and to the first `bytes` bytes of its mapping, survives power loss when this returns.
    fn sync_file(&self, file: &File, mapped: Option<(&MmapRaw, usize)>) -> io::Result<()> {
        if let Some((map, bytes)) = mapped {
            map.flush_range(0, bytes.min(map.len()))?;
        }
        file.sync_data()
    }

    /// The same for a file that somebody else writes, or for the names in a directory.
    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            file.sync_all()
        } else {
            file.sync_data()
        }
    }

    /// A mapping is not to be trusted there: see `remote`.
    fn is_remote(&self, dir: &Path) -> bool {
        remote::is_remote(dir)
    }
}

/// What the operating system does.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

#[cfg(target_os = "linux")]
fn fallocate(file: &File, bytes: u64) -> rustix::io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0u8; 64 << 10];
    let mut done = 0;
    while done < bytes {
        let piece = zeros.len().min(usize::try_from(bytes - done).unwrap_or(usize::MAX));
        file.write_all_at(&zeros[..piece], done)?;
        done += piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_leave_a_file_of_zeros_of_that_size() {
        let allocate: [fn(&File, u64) -> io::Result<()>; 2] = [|f, n| RealDisk.allocate(f, n), write_zeros];
        for way in allocate {
            let file = tempfile::tempfile().unwrap();
            way(&file, 100_000).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 100_000);
            let mut bytes = vec![1u8; 100_000];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|b| *b == 0));
        }
    }
}
