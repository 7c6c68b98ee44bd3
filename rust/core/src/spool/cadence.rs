//! When a writer that gathers records in memory brings them to the file, and how it finds its way back when the server of the file was
//! away.

use std::io;
use std::sync::Arc;

use super::error::SpoolError;
use super::layout;
use super::lock::DirLock;
use super::writer::SpoolWriter;

impl SpoolWriter {
    /// Decides, after each record of a writer that gathers, whether to write. The first record after a pause is written with the
    /// call, so that a run that logs rarely never has any in memory.
    pub(super) fn pace(&mut self, at_once: bool, time_ms: i64) {
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

    /// Brings to the file what only this process has.
    pub(super) fn write_out(&mut self) -> Result<(), SpoolError> {
        if self.segment.unwritten() == 0 {
            return Ok(());
        }
        let path = self.dir.join(layout::segment_name(self.segment.index()));
        match self.segment.write_out() {
            Err(e) if has_lost_its_server(&e) => self.reopen(),
            done => done.map_err(|e| SpoolError::io("write", &path, e)),
        }
    }

    /// A file that was open when its server went away stays dead when the server is back: the segment is written anew, from the image
    /// of it, in the place of the old file.
    #[cold]
    fn reopen(&mut self) -> Result<(), SpoolError> {
        self.segment = self.segment.recreate(&self.dir)?;
        self.synced = Arc::default();
        // None: the one that is held was not lost.
        if let Some(lock) = DirLock::try_acquire(&self.dir.join(layout::WRITER_LOCK))? {
            self.lock = lock;
        }
        Ok(())
    }
}

fn has_lost_its_server(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::NOTCONN, Errno::STALE, Errno::IO, Errno::CONNABORTED, Errno::HOSTDOWN];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}
