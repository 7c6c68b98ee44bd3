//! The side file of a spool, kept by its drainer: how far it is and what is in the way.

use std::path::Path;
use std::sync::Arc;

use stepline_core::spool::{Phase, SpoolError, SpoolState, StateFile};

use crate::settings::Clock;

pub(crate) struct Journal {
    file: StateFile,
    state: SpoolState,
    clock: Arc<dyn Clock>,
    /// What the user should know for as long as the spool lives: damage, rejections.
    notes: Vec<String>,
    write_failed: bool,
}

impl Journal {
    /// Takes over the side file of the spool at `dir` under a new epoch. Hold `drain.lock`.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Journal, SpoolError> {
        let file = StateFile::open(dir)?;
        let mut state = file.read().unwrap_or_default();
        // With the time in it the epoch grows even when the side file was lost.
        let now = u64::try_from(clock.unix_ms()).unwrap_or(0);
        state.epoch = now.max(state.epoch.saturating_add(1));
        let mut journal = Journal { file, state, clock, notes: Vec::new(), write_failed: false };
        journal.write();
        Ok(journal)
    }

    pub fn state(&self) -> &SpoolState {
        &self.state
    }

    /// Changes the state and writes it when that changed something.
    pub fn update(&mut self, change: impl FnOnce(&mut SpoolState)) {
        let before = self.state.clone();
        change(&mut self.state);
        if self.state != before {
            self.write();
        }
    }

    /// Says what is being done, and what is in the way when something is.
    pub fn phase(&mut self, phase: Phase, trouble: &str) {
        let error = self.notes.iter().map(String::as_str).chain([trouble]).filter(|part| !part.is_empty());
        let error = error.collect::<Vec<_>>().join("; ");
        self.update(|state| {
            state.phase = phase;
            state.error = error;
        });
    }

    /// Adds to what the user should know. A note with the same beginning up to `key` is replaced.
    pub fn note(&mut self, key: &str, note: String) {
        match self.notes.iter_mut().find(|old| old.contains(key)) {
            Some(old) => *old = note,
            None => self.notes.push(note),
        }
        let phase = self.state.phase;
        self.phase(phase, "");
    }

    fn write(&mut self) {
        self.state.updated_ms = self.clock.unix_ms();
        match self.file.write(&self.state) {
            Ok(()) => self.write_failed = false,
            // Only a hint is lost: the service knows what it has.
            Err(err) if !self.write_failed => {
                log::warn!("{err}; what `stepline status` shows of this spool is old");
                self.write_failed = true;
            }
            Err(_) => {}
        }
    }
}
