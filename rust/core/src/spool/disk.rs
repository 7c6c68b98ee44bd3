//! The reservation of disk space, as a parameter: tests fill a disk without one.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reserves room for a file. After Ok every byte of the file can be stored through a mapping; without that promise a full disk would
/// kill the training process with SIGBUS in the middle of a store.
pub trait Disk: fmt::Debug + Send + Sync {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()>;
}

/// `fallocate` where the file system has it, else zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match fallocate(file, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
            Ok(()) => return Ok(()),
        }
        write_zeros(file, bytes)
    }
}

#[cfg(target_os = "linux")]
fn fallocate(file: &File, bytes: u64) -> rustix::io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::INTR) => {}
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
