//! One process at a time: `flock` on a file of its own.
//!
//! The lock lives as long as its open file description, which a forked child shares. So a child must close its copy
//! (`DirLock::drop` closes and never unlocks, which leaves the parent's lock alone), or the lock outlives the parent. The
//! descriptor is close-on-exec. What remains: between `fork` and the moment in which the child closes its copy, and in a child
//! that was made without the at-fork hooks and neither execs nor exits, a dead parent still looks alive. That delays the removal
//! of a drained spool; it loses nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use super::error::SpoolError;

/// `held` takes a shared lock for some microseconds; whoever tries to acquire just then must not conclude that it is taken.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// Held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock at `path` (the file is created), or None when another open description holds it.
    pub fn try_acquire(path: &Path) -> Result<Option<DirLock>, SpoolError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| SpoolError::io("open the lock", path, e))?;
        for attempt in 0..ATTEMPTS {
            match try_flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(true) => return Ok(Some(DirLock { _file: file })),
                Ok(false) if attempt + 1 < ATTEMPTS => thread::sleep(PAUSE),
                Ok(false) => {}
                Err(e) => return Err(SpoolError::io("lock", path, e)),
            }
        }
        Ok(None)
    }

    /// True when somebody holds the lock at `path`. Asks with a shared lock, so that two who ask do not see each other.
    pub fn held(path: &Path) -> bool {
        match File::open(path) {
            Ok(file) => matches!(try_flock(&file, FlockOperation::NonBlockingLockShared), Ok(false)),
            // Who has no descriptor left has not seen that nobody holds it.
            Err(e) => Errno::from_io_error(&e).is_some_and(|errno| [Errno::MFILE, Errno::NFILE].contains(&errno)),
        }
    }
}

/// Asks again and again whether somebody holds a lock, and opens its file only once.
#[derive(Debug)]
pub(super) struct LockWatch {
    file: File,
}

impl LockWatch {
    pub fn open(path: &Path) -> Option<LockWatch> {
        File::open(path).ok().map(|file| LockWatch { file })
    }

    pub fn is_held(&self) -> bool {
        match try_flock(&self.file, FlockOperation::NonBlockingLockShared) {
            Ok(false) => true,
            Ok(true) => {
                // It would keep a writer from taking the lock.
                let _ = flock(&self.file, FlockOperation::Unlock);
                false
            }
            Err(_) => false,
        }
    }
}

fn try_flock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
