//! Moves the records of one spool into one stream, and what the service says back into the journal.

use std::time::Duration;

use stepline_core::batch::{BatchError, BatchLimits, Push as Taken, StreamEncoder};
use stepline_core::record::Record;
use stepline_core::spool::Phase;
use stepline_wire::{Link, Verdict};
use tokio::time::Instant;
use tonic::Code;

use crate::backoff::Backoff;
use crate::console::{self, Console};
use crate::control::Call;
use crate::held::Held;
use crate::push::Push;
use crate::registration;
use crate::session::Until;
use crate::settings::Tuning;
use crate::trouble::{End, Trouble};

/// A child writes now and then, its pauses are this many times as long.
const CHILD_POLLS: u32 = 4;

pub(crate) struct Pump<'a> {
    held: &'a mut Held,
    backoff: &'a mut Backoff,
    link: &'a Link,
    tuning: &'a Tuning,
    until: Until,
    push: Push,
    encoder: StreamEncoder,
    /// The sequences up to this one are not sent on this stream.
    after_seq: u64,
    /// The last sequence that was read, or lost.
    cursor: u64,
    /// When the first record of the batch in the making was read.
    pending_since: Option<Instant>,
    last_cleaning: (u64, u64),
    console: Console,
}

/// What reading came to.
enum Read {
    /// Batches were sent and there may be more to read.
    Sent,
    Control {
        ordinal: u64,
        json: String,
    },
    /// The sequences up to this one are lost.
    LostUpTo(u64),
    /// Nothing at present.
    Nothing,
}

impl<'a> Pump<'a> {
    pub fn new(
        held: &'a mut Held,
        backoff: &'a mut Backoff,
        link: &'a Link,
        tuning: &'a Tuning,
        until: Until,
        push: Push,
    ) -> Result<Self, Trouble> {
        let wanted = BatchLimits { max_points: tuning.batch_points, max_raw_bytes: tuning.batch_bytes };
        // What is lost here the service may not count as settled.
        let cursor = push.committed.max(held.lost_up_to);
        let known = held.journal.state().acked_seq;
        if cursor < known {
            // It is back in the past, and may lack what was told since.
            held.journal.update(|state| state.acked_control = 0);
        }
        held.reader.seek(cursor, held.journal.state().acked_control)?;
        if cursor > known {
            backoff.reset();
            held.registered_anew = false;
        }
        held.journal.update(|state| state.acked_seq = cursor);
        held.journal.phase(Phase::Streaming, "");
        Ok(Pump {
            encoder: StreamEncoder::new(push.limits(wanted)),
            held,
            backoff,
            link,
            tuning,
            until,
            push,
            after_seq: cursor,
            cursor,
            pending_since: None,
            last_cleaning: (0, 0),
            console: Console::default(),
        })
    }

    /// Until the spool is drained or the stream ends. May be cancelled at any time.
    pub async fn run(&mut self) -> Result<End, Trouble> {
        let ended = self.go().await;
        // What was said before the end of the stream counts.
        self.note_progress();
        ended
    }

    async fn go(&mut self) -> Result<End, Trouble> {
        loop {
            self.tell_vanished().await?;
            match self.read().await? {
                Read::Sent => {
                    if self.console.is_due() {
                        self.send_console().await?;
                    }
                    self.clean_up()?;
                    // The other spools of this process have their turn.
                    tokio::task::yield_now().await;
                }
                Read::Control { ordinal, json } => self.control(ordinal, &json).await?,
                Read::LostUpTo(seq) => return Err(self.skip(seq).await?),
                Read::Nothing => {
                    if self.cut_is_due() {
                        self.cut().await?;
                    }
                    if self.console.is_due() || self.ends_soon() {
                        self.send_console().await?;
                    }
                    self.clean_up()?;
                    if let Some(end) = self.end()? {
                        return Ok(end);
                    }
                    self.wait().await?;
                }
            }
        }
    }

    /// Reads what is there into batches and sends those that are full.
    async fn read(&mut self) -> Result<Read, Trouble> {
        loop {
            let record = match self.held.reader.next() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(self.nothing()),
                Err(err) if err.is_corrupt() => {
                    if self.held.damage.remember(&err, self.cursor) {
                        log::error!("{}: {err}", self.held.name);
                        let note = format!("{} damaged segments, last: {err}", self.held.damage.segments());
                        self.held.journal.note("damaged segments", note);
                    }
                    continue;
                }
                Err(err) => return Err(err.into()),
            };
            if let Record::Control { ordinal, json } = record {
                return Ok(Read::Control { ordinal, json: json.to_owned() });
            }
            let Some((first, last)) = record.seqs() else {
                take(&mut self.encoder, &mut self.push, self.link, &record, 0).await?;
                continue;
            };
            if first > self.cursor + 1 {
                return Ok(Read::LostUpTo(first - 1));
            }
            match take(&mut self.encoder, &mut self.push, self.link, &record, self.after_seq).await {
                Ok(sent) => {
                    self.cursor = last;
                    if sent {
                        self.pending_since = None;
                        self.note_progress();
                    }
                    if self.encoder.pending_points() > 0 {
                        self.pending_since.get_or_insert_with(Instant::now);
                    }
                    if sent {
                        return Ok(Read::Sent);
                    }
                }
                Err(Refusal::Encoder(err)) => {
                    log::error!(
                        "{}: sequences {first} to {last} cannot be encoded and are lost: {err}",
                        self.held.name
                    );
                    return Ok(Read::LostUpTo(last));
                }
                Err(Refusal::Stream(trouble)) => return Err(trouble),
            }
        }
    }

    /// What is lost without a record behind it is seen at the end.
    fn nothing(&mut self) -> Read {
        let Some((seq, control)) = self.held.reader.passed() else { return Read::Nothing };
        if seq > self.cursor {
            return Read::LostUpTo(seq);
        }
        if self.console.is_empty() {
            self.held.journal.update(|state| state.acked_control = state.acked_control.max(control));
        }
        Read::Nothing
    }

    fn cut_is_due(&mut self) -> bool {
        let Some(since) = self.pending_since else {
            return false;
        };
        since.elapsed() >= self.tuning.linger || self.ends_soon()
    }

    /// Nothing that waits for company will get any.
    fn ends_soon(&mut self) -> bool {
        matches!(self.until, Until::CaughtUp { .. }) || self.held.writer_is_gone()
    }

    /// Sends what waits for company.
    async fn cut(&mut self) -> Result<(), Trouble> {
        self.pending_since = None;
        match self.encoder.finish() {
            Ok(Some(batch)) => self.push.send(batch).await.map_err(|failure| Trouble::of(&failure, self.link))?,
            Ok(None) => {}
            Err(err) => {
                log::error!("{}: a batch cannot be encoded: {err}", self.held.name);
                return Err(Trouble::Refused(err.to_string()));
            }
        }
        self.note_progress();
        Ok(())
    }

    /// Returns when everything that was read is stored.
    async fn settle(&mut self) -> Result<(), Trouble> {
        self.cut().await?;
        while !self.push.is_settled() {
            self.push.receive().await.map_err(|failure| Trouble::of(&failure, self.link))?;
            self.note_progress();
            // While the service stores the rest: at the end somebody waits for this process.
            self.clean_up()?;
        }
        Ok(())
    }

    /// Sends the lines that wait for company.
    async fn send_console(&mut self) -> Result<(), Trouble> {
        match self.console.take(&self.held.meta, self.held.journal.state().attempt) {
            Ok(Some((request, ordinal))) => {
                self.perform(ordinal, Call::Console(request)).await?;
                self.held.journal.update(|state| state.acked_control = ordinal);
                self.backoff.reset();
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(err) => Err(Trouble::Refused(err.to_string())),
        }
    }

    /// An update goes after the points before it were sent, a finish after they were stored.
    async fn control(&mut self, ordinal: u64, json: &str) -> Result<(), Trouble> {
        if let Some(line) = console::line(json, ordinal) {
            self.console.push(line);
            return if self.console.is_due() { self.send_console().await } else { Ok(()) };
        }
        self.send_console().await?;
        self.cut().await?;
        match Call::parse(json, ordinal, &self.held.meta, self.held.journal.state().attempt) {
            Ok(call) => {
                if matches!(call, Call::Finish(_)) {
                    self.settle().await?;
                }
                self.perform(ordinal, call).await?;
            }
            Err(err) => log::error!("{}: control record {ordinal} is lost: {err}", self.held.name),
        }
        self.held.journal.update(|state| state.acked_control = ordinal);
        self.backoff.reset();
        Ok(())
    }

    /// At once, before what is left is sent: people want to know, and somebody may want to start the run again.
    async fn tell_vanished(&mut self) -> Result<(), Trouble> {
        if !self.held.is_untold() {
            return Ok(());
        }
        log::warn!("{}: its process is gone and did not say how it ended", self.held.name);
        match Call::vanished(&self.held.meta, self.held.journal.state().attempt) {
            Ok(call) => self.perform(0, call).await?,
            Err(err) => log::error!("{}: {err}", self.held.name),
        }
        self.held.vanished = true;
        Ok(())
    }

    async fn perform(&self, ordinal: u64, call: Call) -> Result<(), Trouble> {
        let optional = call.is_optional();
        let Err(failure) = registration::perform(self.link, call, self.tuning.call).await else {
            return Ok(());
        };
        let about_the_record = match failure.code() {
            Code::NotFound | Code::Unauthenticated | Code::PermissionDenied => false,
            Code::Unimplemented => optional,
            _ => true,
        };
        if failure.verdict() == Verdict::Never && about_the_record {
            // Another attempt gives the same answer, and what follows must not wait for it.
            log::error!("{}: control record {ordinal} is lost: the service refuses it: {failure}", self.held.name);
            return Ok(());
        }
        Err(match Trouble::of(&failure, self.link) {
            // These two speak of streams; of a unary call they only say that it did not go well.
            Trouble::Superseded(text) | Trouble::DataLost(text) => Trouble::Later { text, after: None },
            other => other,
        })
    }

    /// Sends what came before a hole; the next stream says that it is one.
    async fn skip(&mut self, lost_up_to: u64) -> Result<Trouble, Trouble> {
        self.send_console().await?;
        self.settle().await?;
        self.clean_up()?;
        log::error!("{}: sequences {} to {lost_up_to} are lost", self.held.name, self.push.settled_seq() + 1);
        self.held.lost_up_to = lost_up_to;
        Ok(Trouble::Hole)
    }

    /// Waits for the service, but not longer than until new records may be there.
    async fn wait(&mut self) -> Result<(), Trouble> {
        let pause = match self.pending_since {
            Some(since) => {
                self.tuning.linger.saturating_sub(since.elapsed()).min(self.tuning.poll).max(Duration::from_millis(1))
            }
            // The readings of a host, say: nobody waits for the end of these.
            None if self.held.meta.child && self.push.is_settled() => self.tuning.poll * CHILD_POLLS,
            None => self.tuning.poll,
        };
        if let Ok(received) = tokio::time::timeout(pause, self.push.receive()).await {
            received.map_err(|failure| Trouble::of(&failure, self.link))?;
            self.note_progress();
        }
        Ok(())
    }

    fn note_progress(&mut self) {
        let (settled, sent) = (self.push.settled_seq(), self.encoder.last_seq());
        if settled > self.held.journal.state().acked_seq {
            self.backoff.reset();
            self.held.registered_anew = false;
        }
        self.held.journal.update(|state| {
            state.acked_seq = state.acked_seq.max(settled);
            state.sent_seq = state.sent_seq.max(sent);
        });
        for batch in self.push.take_rejected() {
            self.held.rejected += 1;
            let text = format!("sequences {} to {}: {}", batch.first_seq, batch.last_seq, batch.reason);
            log::error!("{}: the service rejected {text}", self.held.name);
            let note = format!("{} rejected batches, last: {text}", self.held.rejected);
            self.held.journal.note("rejected batches", note);
        }
    }

    fn clean_up(&mut self) -> Result<(), Trouble> {
        let state = self.held.journal.state();
        let settled = (state.acked_seq, state.acked_control);
        if settled != self.last_cleaning {
            self.last_cleaning = settled;
            self.held.clean_up()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<End>, Trouble> {
        if let Until::CaughtUp { up_to, .. } = self.until {
            // A writer that logs without a pause would never be caught up with.
            if self.push.settled_seq() >= up_to && !self.held.writer_is_gone() {
                return Ok(Some(End::CaughtUp));
            }
        }
        // Its writer may be gone since the turn began; the next one tells of it.
        if self.pending_since.is_some() || !self.push.is_settled() || self.held.is_untold() {
            return Ok(None);
        }
        if self.held.is_drained()? {
            return Ok(Some(End::Drained));
        }
        Ok(matches!(self.until, Until::CaughtUp { .. }).then_some(End::CaughtUp))
    }
}

enum Refusal {
    Encoder(BatchError),
    Stream(Trouble),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Encoder(err) => Trouble::Refused(err.to_string()),
            Refusal::Stream(trouble) => trouble,
        }
    }
}

/// Puts a record into batches and sends those that it fills; true when it filled any.
async fn take(
    encoder: &mut StreamEncoder,
    push: &mut Push,
    link: &Link,
    record: &Record<'_>,
    after_seq: u64,
) -> Result<bool, Refusal> {
    let mut sent = false;
    while let Taken::Full { .. } = encoder.push(record, after_seq).map_err(Refusal::Encoder)? {
        let Some(batch) = encoder.finish().map_err(Refusal::Encoder)? else {
            break;
        };
        push.send(batch).await.map_err(|failure| Refusal::Stream(Trouble::of(&failure, link)))?;
        sent = true;
    }
    Ok(sent)
}
