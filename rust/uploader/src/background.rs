//! One spool, drained by a thread of the process that writes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::held::{Held, Taken};
use crate::pool::Pool;
use crate::runtime;
use crate::session::{Session, Until};
use crate::settings::Settings;
use crate::stop::{Stop, Stopper};
use crate::syncer::keep_synced;
use crate::system::Monitor;
use crate::trouble::End;

/// Between two looks for the spool of the readings.
const LOOK: Duration = Duration::from_millis(200);
/// After the end of the run its last readings may take so long.
const LAST: Duration = Duration::from_secs(2);

/// The thread ends when the spool is drained, when it is given up, or when this is stopped or dropped. Dropping does not wait.
#[derive(Debug)]
pub struct Background {
    stopper: Stopper,
    ended: Arc<Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

/// Says so when the thread ends, however it ends.
struct SaysEnd(Arc<Ended>);

impl Drop for SaysEnd {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Background {
    pub fn start(spool: &Path, settings: Settings) -> io::Result<Background> {
        let (stopper, stop) = Stop::new();
        let ended = Arc::new(Ended::default());
        let says_end = SaysEnd(ended.clone());
        let runtime = runtime::build()?;
        let spool = spool.to_owned();
        thread::Builder::new().name("stepline-uploader".into()).spawn(move || {
            runtime.block_on(drain_both(spool, settings, stop));
            runtime.shutdown_background();
            drop(says_end);
        })?;
        Ok(Background { stopper, ended })
    }

    /// Says that the thread shall end, and does not wait.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Waits for the end of the thread; false when `timeout` was over first.
    pub fn join(&self, timeout: Duration) -> bool {
        let ended = self.ended.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.changed.wait_timeout_while(ended, timeout, |ended| !*ended);
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *ended
    }
}

/// The spool, and beside it that of the readings of this host.
async fn drain_both(spool: PathBuf, settings: Settings, stop: Stop) {
    let monitor = match Monitor::of_spool(&spool, settings.clock.clone()) {
        Ok(monitor) => monitor,
        Err(err) => {
            log::warn!("no readings of this host: {err}");
            return drain(spool, settings, stop).await;
        }
    };
    let (stopper, last_stop) = Stop::new();
    let (own, readings) = (drain(spool, settings.clone(), stop), drain_readings(&monitor, settings, last_stop));
    tokio::pin!(own, readings);
    let mut drained = false;
    loop {
        tokio::select! {
            () = &mut own => break,
            () = &mut readings, if !drained => drained = true,
        }
    }
    monitor.stop();
    if !drained && tokio::time::timeout(LAST, &mut readings).await.is_err() {
        stopper.stop();
        readings.await;
    }
}

async fn drain_readings(monitor: &Monitor, settings: Settings, stop: Stop) {
    loop {
        if let Some(spool) = monitor.spool() {
            return drain(spool, settings, stop).await;
        }
        if monitor.has_ended() {
            return;
        }
        tokio::select! {
            () = stop.wanted() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn drain(spool: PathBuf, settings: Settings, stop: Stop) {
    loop {
        match Held::take(&spool, &settings, false) {
            Ok(Taken::Held(held)) => {
                let session = Session::new(held, Pool::default(), settings.clone(), Until::Drained);
                if session.run(stop.clone()).await != End::HandedOver {
                    return;
                }
            }
            // Somebody else drains it. Should that end, this thread takes over.
            Ok(Taken::Locked) => {}
            Ok(Taken::Offline) => {
                tokio::select! {
                    () = stop.wanted() => {}
                    () = keep_synced(spool, settings.tuning.sync) => {}
                }
                return;
            }
            Err(err) if err.is_not_found() => return,
            Err(err) => {
                log::error!("{}: left alone: {err}", spool.display());
                return;
            }
        }
        tokio::select! {
            () = stop.wanted() => return,
            () = tokio::time::sleep(settings.tuning.relock) => {}
        }
    }
}
