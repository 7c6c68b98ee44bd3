//! A spool that this process drains.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stepline_core::spool::{layout, DirLock, SpoolError, SpoolMeta, SpoolReader};
use stepline_wire::TlsFiles;
use tokio::time::Instant;

use crate::damage::Damage;
use crate::handover;
use crate::journal::Journal;
use crate::receipt::Receipt;
use crate::settings::Settings;

/// A writer that went on so shortly ago goes on: a turn of the pump asks several times.
const FRESH: Duration = Duration::from_millis(20);

pub(crate) struct Held {
    /// "run RUN rank RANK (DIR)", for the log.
    pub name: String,
    pub meta: SpoolMeta,
    pub server: String,
    pub api_key: Option<String>,
    pub tls: TlsFiles,
    pub reader: SpoolReader,
    pub journal: Journal,
    pub damage: Damage,
    receipt: Receipt,
    /// Batches that the service will never store.
    pub rejected: u64,
    /// The sequences up to here are stored or lost in this spool.
    pub lost_up_to: u64,
    /// The service was told, or must be, that it lacks what cannot be sent any more.
    pub confesses_loss: bool,
    /// The service did not know the run and it was registered again; nothing was stored since.
    pub registered_anew: bool,
    /// The service was told that the writer is gone without a word.
    pub vanished: bool,
    /// When the writer was last seen to go on.
    went_on: Option<Instant>,
    lock: DirLock,
}

fn tls_files(meta: &SpoolMeta) -> TlsFiles {
    let [ca, cert, key] = [&meta.tls_ca, &meta.tls_cert, &meta.tls_key].map(|file| file.as_ref().map(PathBuf::from));
    TlsFiles { ca, cert, key }
}

/// What came of the wish to drain a spool.
pub(crate) enum Taken {
    Held(Box<Held>),
    /// Somebody else drains it.
    Locked,
    /// It waits for `stepline sync`.
    Offline,
}

impl Held {
    pub fn take(dir: &Path, settings: &Settings, offline_too: bool) -> Result<Taken, SpoolError> {
        let meta = SpoolMeta::load(dir)?;
        if meta.mode == "offline" && !offline_too {
            return Ok(Taken::Offline);
        }
        let Some(lock) = DirLock::try_acquire(&dir.join(layout::DRAIN_LOCK))? else {
            return Ok(Taken::Locked);
        };
        handover::forget(dir);
        let mut journal = Journal::open(dir, settings.clock.clone())?;
        if let Some(attempt) = meta.attempt {
            // The side file knows better when the run had to be registered anew.
            journal.update(|state| state.attempt = if state.attempt == 0 { attempt } else { state.attempt });
        }
        Ok(Taken::Held(Box::new(Held {
            name: format!("run {} rank {} ({})", meta.run_id, meta.rank, dir.display()),
            server: settings.server.clone().unwrap_or_else(|| meta.server.clone()),
            api_key: settings.api_key.clone().or_else(|| meta.api_key.clone()),
            tls: if settings.tls.is_empty() { tls_files(&meta) } else { settings.tls.clone() },
            reader: SpoolReader::open(dir)?,
            meta,
            journal,
            damage: Damage::default(),
            receipt: Receipt::open(dir),
            rejected: 0,
            lost_up_to: 0,
            confesses_loss: false,
            registered_anew: false,
            vanished: false,
            went_on: None,
            lock,
        })))
    }

    /// Deletes what is settled.
    pub fn clean_up(&mut self) -> Result<(), SpoolError> {
        let (seq, control) = (self.journal.state().acked_seq, self.journal.state().acked_control);
        let freed = self.reader.releasable(seq, control)?;
        if let Some(last) = freed {
            self.keep_receipt(last)?;
        }
        self.damage.set_aside(seq);
        match freed {
            Some(_) => self.reader.release(seq, control).map(drop),
            None => Ok(()),
        }
    }

    /// Nobody writes any more, everything is settled, and the service knows how it ended.
    pub fn is_drained(&mut self) -> Result<bool, SpoolError> {
        if !self.writer_is_gone() || self.is_untold() {
            return Ok(false);
        }
        let (seq, control) = (self.journal.state().acked_seq, self.journal.state().acked_control);
        self.reader.is_drained(seq, control)
    }

    /// Deletes the spool; damaged segments are kept beside it.
    pub fn remove(mut self) -> Result<(), SpoolError> {
        if let Err(err) = self.keep_receipt(self.journal.state().acked_seq) {
            log::warn!("{}: no receipt of what is deleted: {err}", self.name);
        }
        self.damage.set_aside(u64::MAX);
        let removed = self.reader.remove();
        drop(self.lock);
        removed
    }

    /// Writes down what lies here up to that sequence.
    fn keep_receipt(&mut self, last: u64) -> Result<(), SpoolError> {
        let (first, _) = self.reader.first_available()?;
        if first <= last {
            self.receipt.add(self.reader.dir(), &self.meta, first, last);
        }
        Ok(())
    }

    /// The process that stands for its rank is gone, and did not close the spool.
    fn writer_has_vanished(&mut self) -> bool {
        // In this order: what it closed before it was gone is closed.
        !self.meta.child && self.writer_is_gone() && !self.reader.is_sealed()
    }

    /// The service does not know yet that the writer is gone without a word.
    pub fn is_untold(&mut self) -> bool {
        !self.vanished && self.writer_has_vanished()
    }

    /// Nobody writes any more.
    pub fn writer_is_gone(&mut self) -> bool {
        if self.went_on.is_some_and(|at| at.elapsed() < FRESH) {
            return false;
        }
        let gone = self.reader.is_sealed() || !self.reader.writer_alive();
        self.went_on = (!gone).then(Instant::now);
        gone
    }
}
