//! The thread that takes the readings.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::watch::{Scope, Watch};
use crate::settings::Clock;

/// Between two looks at which runs go on, which is also how exact an interval is.
const BEAT: Duration = Duration::from_millis(250);

/// Ends with its owner. Nobody waits for the thread, as a driver may hang.
#[derive(Debug)]
pub(crate) struct Monitor {
    signal: Arc<Signal>,
    spool: Arc<Mutex<Option<PathBuf>>>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Signal {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Monitor {
    /// For all runs with spools under `root`.
    pub fn of_host(root: &Path, clock: Arc<dyn Clock>) -> io::Result<Monitor> {
        Monitor::start(root.to_owned(), Scope::Root, clock)
    }

    /// For the run of one spool.
    pub fn of_spool(spool: &Path, clock: Arc<dyn Clock>) -> io::Result<Monitor> {
        let root = spool.parent().unwrap_or(spool);
        Monitor::start(root.to_owned(), Scope::Spool(spool.to_owned()), clock)
    }

    fn start(root: PathBuf, scope: Scope, clock: Arc<dyn Clock>) -> io::Result<Monitor> {
        let signal = Arc::new(Signal::default());
        let ends = signal.clone();
        let spool = Arc::new(Mutex::new(None));
        let made = spool.clone();
        let thread = thread::Builder::new().name("stepline-system".into()).spawn(move || {
            let mut watch = Watch::new(&root, scope, Path::new("/"), clock);
            while !ends.within(BEAT) {
                watch.beat();
                made.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&watch.newest_spool);
            }
            // Dropping it seals the spools.
            drop(watch);
        })?;
        Ok(Monitor { signal, spool, thread })
    }

    /// The spool that was made last.
    pub fn spool(&self) -> Option<PathBuf> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spools of this monitor have no writer any more.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn stop(&self) {
        *self.signal.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.changed.notify_all();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Signal {
    /// True when the end was wished for within `pause`.
    fn within(&self, pause: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(ended, pause, |ended| !*ended);
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *ended
    }
}
