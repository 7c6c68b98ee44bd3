//! Sending what lies there, once: `stepline sync`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stepline_core::spool::{layout, scan, status, Phase, SpoolError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::handover;
use crate::held::{Held, Taken};
use crate::host::HostError;
use crate::pool::Pool;
use crate::runtime;
use crate::session::{Session, Until};
use crate::settings::Settings;
use crate::stop::Stop;

/// Spools that are sent at the same time.
const AT_ONCE: usize = 32;
/// Without a time limit a spool is given up after this many failures in a row; with one it has another turn when all others had theirs.
const PATIENCE: u32 = 6;
/// Without a time limit, who drains a spool has this long to give it up, or to remove it once it is stored.
const HANDOVER: Duration = Duration::from_secs(5);

/// Sends what lies in `paths`, spool roots or single spools, offline spools included. Returns when everything that was there is stored, or
/// `timeout` is over, or nothing more can be done. `stopped` is asked about ten times a second whether to end early. What is left is
/// what `scan` still finds.
pub fn run_drain(
    paths: &[PathBuf],
    settings: Settings,
    timeout: Option<Duration>,
    mut stopped: impl FnMut() -> bool,
) -> Result<(), HostError> {
    let runtime = runtime::build()?;
    let result = runtime.block_on(async {
        let (stopper, stop) = Stop::new();
        let work = drain_all(paths, settings, timeout, stop);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    if stopped() {
                        stopper.stop();
                    }
                }
            }
        }
    });
    runtime.shutdown_background();
    result
}

/// The same for one path, on the runtime of the caller.
pub async fn drain(path: &Path, settings: Settings, timeout: Option<Duration>, stop: Stop) -> Result<(), HostError> {
    drain_all(&[path.to_owned()], settings, timeout, stop).await
}

async fn drain_all(
    paths: &[PathBuf],
    settings: Settings,
    timeout: Option<Duration>,
    stop: Stop,
) -> Result<(), HostError> {
    let mut waiting = Vec::new();
    for path in paths {
        waiting.extend(spools(path)?);
    }
    // The oldest first.
    waiting.reverse();
    let (stopper, until_stopped) = Stop::new();
    let pool = Pool::default();
    let patience = (timeout.is_none() || waiting.len() > AT_ONCE).then_some(PATIENCE);
    let mut sending = JoinSet::new();
    let work = async {
        loop {
            while sending.len() < AT_ONCE {
                let Some(dir) = waiting.pop() else { break };
                sending.spawn(send(dir, pool.clone(), settings.clone(), patience, until_stopped.clone()));
            }
            match sending.join_next().await {
                Some(Ok(Some(unreached))) if timeout.is_some() => waiting.insert(0, unreached),
                Some(_) => {}
                None => return,
            }
        }
    };
    tokio::select! {
        () = work => return Ok(()),
        () = stop.wanted() => {}
        () = expired(timeout) => {}
    }
    stopper.stop();
    while sending.join_next().await.is_some() {}
    Ok(())
}

/// Sends one spool, or waits while somebody else does. Returns it when its service was not reached.
async fn send(dir: PathBuf, pool: Pool, settings: Settings, patience: Option<u32>, stop: Stop) -> Option<PathBuf> {
    let begun = status(&dir)?;
    let mut asked_since = Instant::now();
    let mut stored_since = None;
    loop {
        match Held::take(&dir, &settings, true) {
            Ok(Taken::Held(held)) => {
                let until = Until::CaughtUp { up_to: begun.last_seq, patience };
                Session::new(held, pool, settings, until).run(stop).await;
                let left = status(&dir)?;
                return (left.state == Phase::Unreachable.as_str()).then_some(dir);
            }
            Ok(Taken::Locked) => {}
            Ok(Taken::Offline) => return None,
            Err(err) if err.is_not_found() => return None,
            Err(err) => {
                log::error!("{}: left alone: {err}", dir.display());
                return None;
            }
        }
        let now = status(&dir)?;
        let stored = now.acked_seq >= begun.last_seq && now.acked_control >= begun.last_control;
        if stored {
            // What came meanwhile is the business of whoever has the spool. Without a writer it is about to be removed.
            let since = stored_since.get_or_insert_with(Instant::now);
            if now.alive || (patience.is_some() && since.elapsed() > HANDOVER) {
                return None;
            }
        } else if now.state == Phase::Streaming.as_str() {
            asked_since = Instant::now();
        } else if patience.is_some() && asked_since.elapsed() > HANDOVER {
            log::warn!("{}: another process has it and does not get through either", dir.display());
            return Some(dir);
        }
        if now.state == Phase::Unreachable.as_str() || (!stored && now.state != Phase::Streaming.as_str()) {
            handover::ask(&dir);
        }
        tokio::select! {
            () = stop.wanted() => return None,
            () = tokio::time::sleep(settings.tuning.poll) => {}
        }
    }
}

async fn expired(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn spools(path: &Path) -> Result<Vec<PathBuf>, HostError> {
    if path.join(layout::META_FILE).exists() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        let what = format!("{} is no directory: give a spool or the directory that holds spools", path.display());
        return Err(HostError::Io(io::Error::new(io::ErrorKind::NotFound, what)));
    }
    scan(path).map_err(|err: SpoolError| err.into())
}
