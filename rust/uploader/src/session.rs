//! One spool from its first look at the service to its deletion, over any number of streams.

use std::time::Duration;

use prost::bytes::Bytes;
use stepline_core::spool::Phase;
use stepline_wire::{v1, Link};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::handover;
use crate::heart::Beat;
use crate::held::Held;
use crate::pool::Pool;
use crate::pump::Pump;
use crate::push::Push;
use crate::registration;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::syncer::Syncer;
use crate::trouble::{End, Trouble};

/// What ends a session that goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Its writer is gone and everything is stored.
    Drained,
    /// Everything that is there is stored; of a writer that goes on, what was there up to this sequence. Gives up after so many
    /// failures in a row.
    CaughtUp { up_to: u64, patience: Option<u32> },
}

pub(crate) struct Session {
    held: Box<Held>,
    pool: Pool,
    settings: Settings,
    backoff: Backoff,
    until: Until,
    /// The text of the last trouble that was logged.
    logged: String,
    /// While it is there, the service is told that the attempt lives.
    beat: Option<Beat>,
}

impl Session {
    pub fn new(held: Box<Held>, pool: Pool, settings: Settings, until: Until) -> Self {
        // Sessions of one process must not draw the same pauses.
        let seed =
            held.reader.writer_id().0.iter().fold(settings.seed, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
        let backoff = Backoff::new(&settings.tuning, seed);
        Session { held, pool, settings, backoff, until, logged: String::new(), beat: None }
    }

    pub async fn run(mut self, stop: Stop) -> End {
        let syncer = Syncer::spawn(self.held.reader.dir(), self.settings.tuning.sync);
        let end = tokio::select! {
            biased;
            () = stop.wanted() => End::Stopped,
            end = self.drain() => end,
        };
        let lives_on = self.until == Until::Drained;
        let end = self.close(end);
        if end == End::GivenUp && lives_on {
            // Nobody else brings to the disk what its writer still logs. The lock is free for `stepline sync`.
            tokio::select! {
                () = stop.wanted() => {}
                () = syncer.finished() => {}
            }
        }
        end
    }

    async fn drain(&mut self) -> End {
        loop {
            let began = Instant::now();
            let trouble = match self.stream().await {
                Ok(end) => return end,
                Err(trouble) => trouble,
            };
            // A stream that lived for long was no failure, even if it had nothing to do.
            if began.elapsed() > self.settings.tuning.longest_pause {
                self.backoff.reset();
            }
            match self.judge(trouble) {
                Next::Pause(pause) if handover::asked_within(self.held.reader.dir(), pause).await => {
                    return End::HandedOver
                }
                Next::Pause(_) => {}
                Next::End(end) => return end,
                Next::GiveUp(phase, text) => {
                    self.held.journal.phase(phase, &text);
                    log::error!("{}: given up, the spool stays: {text}", self.held.name);
                    return End::GivenUp;
                }
            }
        }
    }

    /// One stream, from the registration of the run to the first trouble.
    async fn stream(&mut self) -> Result<End, Trouble> {
        // Without its directory there is nothing to send, however long the service stays away.
        let (first_available, _) = self.held.reader.first_available()?;
        self.skip_dropped(first_available);
        if self.held.journal.state().phase != Phase::Unreachable {
            self.held.journal.phase(Phase::Connecting, "");
        }
        if self.held.server.is_empty() {
            return Err(Trouble::Refused(
                "the spool names no server: run `stepline sync DIR --server HOST:PORT`".into(),
            ));
        }
        let link = self
            .pool
            .link(&self.held.server, self.held.api_key.as_deref(), &self.held.tls)
            .map_err(|err| Trouble::Refused(err.to_string()))?;
        // The side file knows the attempt, but not the run that the service chose.
        let moved = self.held.meta.on_live == "new_run" && self.held.meta.attempt.is_none();
        if self.held.journal.state().attempt == 0 || (moved && self.beat.is_none()) {
            self.register(&link).await?;
        }
        let attempt = self.held.journal.state().attempt;
        let way = (self.held.server.clone(), self.held.api_key.clone(), self.held.tls.clone());
        self.beat = Some(self.pool.heart().beat(way, &link, &self.held.meta, attempt, self.settings.tuning));
        let hello = self.hello()?;
        let push =
            Push::open(&link, hello, &self.settings.tuning).await.map_err(|failure| Trouble::of(&failure, &link))?;
        self.logged.clear();
        self.held.confesses_loss = false;
        let welcomed = Instant::now();
        let tuning = &self.settings.tuning;
        let ended = Pump::new(&mut self.held, &mut self.backoff, &link, tuning, self.until, push)?.run().await;
        if welcomed.elapsed() > tuning.longest_pause {
            self.held.registered_anew = false;
        }
        ended
    }

    async fn register(&mut self, link: &Link) -> Result<(), Trouble> {
        let request = registration::request(&self.held.meta).map_err(|err| Trouble::Refused(err.to_string()))?;
        let live = self.settings.tuning.live;
        let reply = registration::create(link, request, self.settings.tuning.call).await.map_err(|failure| {
            match Trouble::of(&failure, link) {
                // Another start holds the run. It ends some day.
                Trouble::Superseded(text) => Trouble::Later { text, after: Some(live) },
                // "No such run" is an answer to resume="must", and a loss is one of streams.
                Trouble::Unregistered(text) | Trouble::DataLost(text) => Trouble::Refused(text),
                other => other,
            }
        })?;
        let attempt = reply.attempt;
        if let Some(run) = reply.run.filter(|run| !run.run_id.is_empty()) {
            self.held.meta.run_id = run.run_id;
        }
        log::info!("{}: registered as attempt {attempt} at {}", self.held.name, link.address());
        self.held.journal.update(|state| state.attempt = attempt);
        Ok(())
    }

    /// What the trainer deleted because the spool was at its limit is a gap, and known to be one.
    fn skip_dropped(&mut self, first_available: u64) {
        let lost_up_to = first_available.saturating_sub(1).min(self.held.reader.dropped_up_to());
        if lost_up_to > self.held.lost_up_to.max(self.held.journal.state().acked_seq) {
            log::error!(
                "{}: the trainer deleted the sequences up to {lost_up_to} unsent, because the spool was at its limit",
                self.held.name
            );
            self.held.lost_up_to = lost_up_to;
        }
    }

    fn hello(&mut self) -> Result<v1::Hello, Trouble> {
        let (first_available, _) = self.held.reader.first_available()?;
        let state = self.held.journal.state();
        Ok(v1::Hello {
            writer: Bytes::copy_from_slice(&self.held.reader.writer_id().0),
            run_id: self.held.meta.run_id.clone(),
            attempt: state.attempt,
            rank: self.held.meta.rank,
            epoch: state.epoch,
            first_unacknowledged: first_available.max(self.held.lost_up_to + 1),
            lost_before_upload: self.held.confesses_loss || self.held.lost_up_to > state.acked_seq,
        })
    }

    fn judge(&mut self, trouble: Trouble) -> Next {
        match trouble {
            Trouble::Later { text, after } => {
                if let Until::CaughtUp { patience: Some(patience), .. } = self.until {
                    if self.backoff.failures() + 1 >= patience {
                        return Next::GiveUp(Phase::Unreachable, text);
                    }
                }
                self.held.journal.phase(Phase::Unreachable, &text);
                self.warn(&text);
                Next::Pause(self.backoff.pause(after))
            }
            Trouble::Hole => Next::Pause(Duration::ZERO),
            Trouble::Unregistered(text) if self.held.registered_anew => Next::GiveUp(Phase::Refused, text),
            Trouble::Unregistered(text) => {
                log::warn!("{}: {text}; registering the run again", self.held.name);
                self.held.registered_anew = true;
                self.held.journal.update(|state| (state.attempt, state.acked_control) = (0, 0));
                Next::Pause(Duration::ZERO)
            }
            Trouble::DataLost(text) if self.held.confesses_loss => Next::GiveUp(Phase::Refused, text),
            Trouble::DataLost(text) => {
                log::error!(
                    "{}: the service lost what it had acknowledged, sending what is left: {text}",
                    self.held.name
                );
                self.held.confesses_loss = true;
                Next::Pause(Duration::ZERO)
            }
            Trouble::Refused(text) | Trouble::Superseded(text) => Next::GiveUp(Phase::Refused, text),
            Trouble::Spool(err) if err.is_not_found() => {
                log::warn!("{}: somebody deleted the spool: {err}", self.held.name);
                // Not removed: it may be made anew, and the lock is that of the old one.
                Next::End(End::HandedOver)
            }
            Trouble::Spool(err) if err.may_pass() => self.judge(Trouble::Later { text: err.to_string(), after: None }),
            Trouble::Spool(err) => Next::GiveUp(Phase::Refused, err.to_string()),
        }
    }

    fn close(mut self, end: End) -> End {
        match end {
            End::Drained => {
                self.held.journal.phase(Phase::Done, "");
                let name = self.held.name.clone();
                match self.held.remove() {
                    Ok(()) => log::info!("{name}: everything is stored"),
                    Err(err) if err.is_not_found() => {}
                    Err(err) => {
                        log::warn!("{name}: everything is stored, but {err}");
                        return End::GivenUp;
                    }
                }
            }
            End::CaughtUp => self.held.journal.phase(Phase::Waiting, ""),
            End::Stopped => {
                let state = self.held.journal.state();
                let (phase, error) = (state.phase, state.error.clone());
                if matches!(phase, Phase::Connecting | Phase::Streaming) {
                    self.held.journal.phase(Phase::Waiting, &error);
                }
            }
            End::HandedOver | End::GivenUp => {}
        }
        end
    }

    /// Once for each new text, not for each attempt.
    fn warn(&mut self, text: &str) {
        if self.logged != text {
            log::warn!("{}: {text}", self.held.name);
            text.clone_into(&mut self.logged);
        }
    }
}

enum Next {
    Pause(Duration),
    End(End),
    /// Only a new drainer tries again.
    GiveUp(Phase, String),
}
