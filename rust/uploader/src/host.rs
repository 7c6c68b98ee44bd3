//! All spools under one root: the work of the uploader process.
//!
//! It ends when nothing was left to do for a while, and no trainer notices. The end is a race with a trainer that makes a spool: the
//! uploader releases its lock, then looks once more; the trainer makes its spool first and then looks whether the lock is held. So at
//! least one of them sees the other.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{getrlimit, setrlimit, Resource};
use stepline_core::spool::{layout, scan, DirLock, SpoolError, SpoolMeta};
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::held::{Held, Taken};
use crate::pool::Pool;
use crate::receipt;
use crate::runtime;
use crate::session::{Session, Until};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::syncer::keep_synced;
use crate::system::Monitor;
use crate::trouble::End;

/// After the wish to end the sessions get this long to write down where they are.
const FAREWELL: Duration = Duration::from_millis(500);

/// Locks, state, a segment, a directory that is read.
const FILES_OF_A_SPOOL: usize = 6;
/// Connections, the runtime, readings of the host.
const FILES_BESIDE: usize = 64;

/// Why the uploader could not do its work at all.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("cannot start the uploader: {0}")]
    Io(#[from] io::Error),
}

/// Drains every spool under `root` until nothing has been left for `idle_exit`. Returns at once when another process does so, and
/// within a second after SIGTERM or SIGINT.
pub fn run_host(root: &Path, settings: Settings, idle_exit: Duration) -> Result<(), HostError> {
    allow_open_files();
    let runtime = runtime::build()?;
    let result = runtime.block_on(async {
        let (stopper, stop) = Stop::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let work = host(root, settings, idle_exit, stop);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            _ = terminate.recv() => log::info!("ending after SIGTERM"),
            _ = interrupt.recv() => log::info!("ending after SIGINT"),
        }
        stopper.stop();
        work.await
    });
    // Without waiting for a disk that hangs.
    runtime.shutdown_background();
    result
}

/// The usual limit is for programs that use `select`.
fn allow_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Best effort: with fewer of them spools wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// As many as can have all their files open: with some of them each, none would get through.
fn most_at_once() -> usize {
    let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize);
    (files.saturating_sub(FILES_BESIDE) / FILES_OF_A_SPOOL).max(1)
}

/// The same on the runtime of the caller.
pub async fn host(root: &Path, settings: Settings, idle_exit: Duration, stop: Stop) -> Result<(), HostError> {
    let mut host = Host {
        root: root.to_owned(),
        settings,
        stop: stop.clone(),
        pool: Pool::default(),
        sessions: JoinSet::new(),
        running: HashSet::new(),
        left_alone: HashSet::new(),
        not_before: HashMap::new(),
        most_at_once: most_at_once(),
        told_of_limit: false,
    };
    let lock_path = root.join(layout::UPLOADER_LOCK);
    receipt::expire(root);
    loop {
        let Some(lock) = DirLock::try_acquire(&lock_path)? else {
            log::info!("another uploader drains {}", root.display());
            return Ok(());
        };
        let monitor = Monitor::of_host(root, host.settings.clock.clone());
        if let Err(err) = &monitor {
            log::warn!("no readings of this host: {err}");
        }
        let stopped = tokio::select! {
            biased;
            () = stop.wanted() => true,
            done = host.work(idle_exit) => { done?; false }
        };
        if stopped {
            host.farewell().await;
            return Ok(());
        }
        drop(monitor);
        drop(lock);
        if !host.anything_left()? {
            log::info!("nothing is left in {}", root.display());
            return Ok(());
        }
    }
}

struct Host {
    root: PathBuf,
    settings: Settings,
    stop: Stop,
    pool: Pool,
    sessions: JoinSet<(PathBuf, End)>,
    running: HashSet<PathBuf>,
    /// Offline, refused or unreadable: not touched again by this process.
    left_alone: HashSet<PathBuf>,
    /// When to try again at a spool that somebody else drains.
    not_before: HashMap<PathBuf, Instant>,
    most_at_once: usize,
    told_of_limit: bool,
}

impl Host {
    /// Returns when there was nothing to do for `idle_exit`.
    async fn work(&mut self, idle_exit: Duration) -> Result<(), HostError> {
        let mut idle_since = None;
        loop {
            match scan(&self.root) {
                Ok(found) => found.into_iter().for_each(|dir| self.consider(dir)),
                // Those that are being sent go on.
                Err(_) if !self.sessions.is_empty() => {}
                Err(err) => return Err(err.into()),
            }
            if self.sessions.is_empty() {
                let since = *idle_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= idle_exit {
                    return Ok(());
                }
            } else {
                idle_since = None;
            }
            let next_scan = Instant::now() + self.settings.tuning.scan;
            while let Ok(Some(ended)) = tokio::time::timeout_at(next_scan, self.sessions.join_next()).await {
                self.reap(ended);
            }
            tokio::time::sleep_until(next_scan).await;
        }
    }

    /// Starts a session for a spool that needs one.
    fn consider(&mut self, dir: PathBuf) {
        let waits = self.not_before.get(&dir).is_some_and(|at| Instant::now() < *at);
        if waits || self.running.contains(&dir) || self.left_alone.contains(&dir) {
            return;
        }
        if self.sessions.len() >= self.most_at_once {
            if !self.told_of_limit {
                log::warn!(
                    "the limit of open files allows {} spools at once, others wait: raise ulimit -n",
                    self.most_at_once
                );
                self.told_of_limit = true;
            }
            return;
        }
        self.not_before.remove(&dir);
        match Held::take(&dir, &self.settings, false) {
            Ok(Taken::Held(held)) => {
                let session = Session::new(held, self.pool.clone(), self.settings.clone(), Until::Drained);
                let stop = self.stop.clone();
                self.running.insert(dir.clone());
                self.sessions.spawn(async move { (dir, session.run(stop).await) });
            }
            Ok(Taken::Locked) => {
                self.not_before.insert(dir, Instant::now() + self.settings.tuning.relock);
            }
            Ok(Taken::Offline) => {
                // Not sent, but kept safe from a power loss as long as it is written.
                let (every, stop) = (self.settings.tuning.sync, self.stop.clone());
                self.running.insert(dir.clone());
                self.sessions.spawn(async move {
                    tokio::select! {
                        () = stop.wanted() => {}
                        () = keep_synced(dir.clone(), every) => {}
                    }
                    (dir, End::GivenUp)
                });
            }
            Err(err) if err.is_not_found() => {}
            Err(err) if err.may_pass() => {
                log::warn!("{}: {err}", dir.display());
                self.not_before.insert(dir, Instant::now() + self.settings.tuning.relock);
            }
            Err(err) => {
                log::error!("{}: left alone: {err}", dir.display());
                self.left_alone.insert(dir);
            }
        }
    }

    fn reap(&mut self, ended: Result<(PathBuf, End), tokio::task::JoinError>) {
        match ended {
            Ok((dir, end)) => {
                self.running.remove(&dir);
                match end {
                    End::Drained => {}
                    End::HandedOver => {
                        self.not_before.insert(dir, Instant::now() + self.settings.tuning.relock);
                    }
                    End::CaughtUp | End::Stopped | End::GivenUp => {
                        self.left_alone.insert(dir);
                    }
                }
            }
            // Its spool stays in `running`: what made it panic would do so again.
            Err(err) => log::error!("a session died: {err}; its spool stays, report this as a bug"),
        }
    }

    async fn farewell(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.sessions.join_next()).await {
            self.reap(ended);
        }
        self.sessions.abort_all();
    }

    /// A spool appeared for which this process has not done all it can.
    fn anything_left(&self) -> Result<bool, HostError> {
        Ok(scan(&self.root)?.iter().any(|dir| {
            !self.left_alone.contains(dir)
                && !self.running.contains(dir)
                && !DirLock::held(&dir.join(layout::DRAIN_LOCK))
                && SpoolMeta::load(dir).is_ok_and(|meta| meta.mode != "offline")
        }))
    }
}
