//! What the lock of a writer guards: the spool of this process, the counters, and the memory of keys.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::PyString;
use stepline_core::spool::{
    SpoolError, SpoolErrorKind, SpoolMeta, SpoolWriter, SyncHandle, WriterOptions, WriterStats,
};

use super::fork;
use super::keys::KeyMemory;
use super::latency::Latency;
use super::pending::Pending;

/// The hook is called at most this often, and at each new segment.
const TICK_MS: i64 = 5_000;
/// A spool that could not be made is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

pub struct Shared {
    state: Mutex<State>,
    pub pending: Pending,
    pub latency: Latency,
}

/// Where a call lies.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub step: i64,
    pub time_ms: i64,
}

/// What became of an append.
#[derive(Debug, Default)]
pub struct Appended {
    /// There is more to do: the hook, or values that a device may have delivered.
    pub due: bool,
    /// The hook is to be called.
    pub tick: bool,
    /// The record was refused; the number is another one for each outage.
    pub error: Option<(SpoolError, u64)>,
}

impl Appended {
    /// The spool is at its limit and is to be waited for: nothing was taken or counted, and the call is to be made again.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.error.as_ref().is_some_and(|(e, _)| e.is_busy())
    }
}

pub struct State {
    root: PathBuf,
    meta: SpoolMeta,
    options: WriterOptions,
    /// None after close, and in a forked child until its first record.
    spool: Option<SpoolWriter>,
    closed: bool,
    /// That of the process when the spool was made.
    generation: u64,
    lost: Option<Lost>,
    keys: KeyMemory,
    scratch: Vec<f64>,
    next_step: i64,
    next_tick_ms: i64,
    /// When there is more to do than to append; 0 as long as a device owes values.
    wake_ms: i64,
    segments: u64,
    refused: u64,
    undelivered: u64,
    last: Ended,
}

/// What is still asked of a spool that is closed.
#[derive(Default)]
struct Ended {
    stats: WriterStats,
    seq: u64,
    path: String,
    writer: String,
}

/// Points of a forked child that could not make its spool.
struct Lost {
    points: u64,
    error: SpoolError,
    tried: Instant,
}

impl Shared {
    pub fn create(root: PathBuf, meta: SpoolMeta, options: WriterOptions) -> Result<Arc<Shared>, SpoolError> {
        let spool = SpoolWriter::create(&root, meta.clone(), options.clone())?;
        let state = State {
            root,
            meta,
            options,
            segments: spool.stats().segments,
            spool: Some(spool),
            closed: false,
            generation: fork::generation(),
            lost: None,
            keys: KeyMemory::default(),
            scratch: Vec::new(),
            next_step: 0,
            next_tick_ms: now_ms().saturating_add(TICK_MS),
            wake_ms: now_ms().saturating_add(TICK_MS),
            refused: 0,
            undelivered: 0,
            last: Ended::default(),
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), pending: Pending::default(), latency: Latency::default() });
        fork::register(&shared);
        Ok(shared)
    }

    /// Runs `body` under the lock. It must not run Python code.
    #[inline]
    pub fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        let mut state: MutexGuard<'_, State> = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        body(&mut state)
    }
}

impl State {
    /// What the walk needs; None when there is no spool of this process.
    #[inline]
    pub fn walk_parts(&mut self) -> Option<(&KeyMemory, &mut Vec<f64>)> {
        (self.spool.is_some() && self.generation == fork::generation()).then_some((&self.keys, &mut self.scratch))
    }

    /// Appends what the walk left in the scratch.
    #[inline]
    pub fn log_scratch(&mut self, keyset: u32, step: Option<i64>) -> Appended {
        let (now, next_step) = (now_ms(), self.next_step);
        let step = self.take_step(step);
        let Some(spool) = &mut self.spool else { return Appended::default() };
        let done = spool.append_row(keyset, step, now, &self.scratch);
        if done.as_ref().is_err_and(SpoolError::is_busy) {
            // The call will be made again.
            self.next_step = next_step;
        }
        self.appended(now, done.map(drop))
    }

    /// The step and the time of a call that happens now.
    pub fn stamp(&mut self, step: Option<i64>) -> Stamp {
        Stamp { step: self.take_step(step), time_ms: now_ms() }
    }

    /// Appends values by name. `keys` are the objects that hold the names, when each is one. Also gives the names that are too many;
    /// with `all` nothing is appended if there are any.
    pub fn log_named(
        &mut self,
        names: &[&str],
        keys: Option<&[Bound<'_, PyString>]>,
        values: &[f64],
        Stamp { step, time_ms: now }: Stamp,
        all: bool,
    ) -> (Appended, Vec<String>) {
        if values.is_empty() {
            return (self.appended(now, Ok(())), Vec::new());
        }
        if let Err(e) = self.open(values.len() as u64, now) {
            return (self.appended(now, Err(e)), Vec::new());
        }
        let Some(spool) = &mut self.spool else { return (Appended::default(), Vec::new()) };
        if let Some(keyset) = self.keys.resolve(spool, names, keys) {
            let done = spool.append_row(keyset, step, now, values);
            return (self.appended(now, done.map(drop)), Vec::new());
        }
        let (mut ids, mut kept, mut unnamed) =
            (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()), Vec::new());
        for (name, value) in names.iter().zip(values) {
            match spool.name_id(name) {
                Ok(id) => {
                    ids.push(id);
                    kept.push(*value);
                }
                Err(_) => unnamed.push((*name).to_owned()),
            }
        }
        if kept.is_empty() || (all && !unnamed.is_empty()) {
            return (self.appended(now, Ok(())), unnamed);
        }
        let done = match spool.keyset_id(&ids) {
            Some(keyset) => {
                if unnamed.is_empty() {
                    self.keys.learn(keyset, keys);
                }
                spool.append_row(keyset, step, now, &kept)
            }
            None => spool.append_sparse(&ids, step, now, &kept),
        };
        (self.appended(now, done.map(drop)), unnamed)
    }

    /// Appends points of one metric. Of those after them, `more` are lost too if these are.
    pub fn log_array(&mut self, name: &str, steps: &[i64], values: &[f64], more: u64) -> Appended {
        let now = now_ms();
        let mut done = self.open(values.len() as u64 + more, now);
        if let (Ok(()), Some(spool)) = (&done, &mut self.spool) {
            done = spool.name_id(name).and_then(|id| spool.append_array(id, now, steps, values)).map(drop);
            if done.as_ref().is_err_and(|e| !e.is_busy()) {
                spool.count_lost(more, now);
            }
        }
        self.appended(now, done)
    }

    pub fn control(&mut self, json: &str) -> Appended {
        let now = now_ms();
        let mut done = self.open(0, now);
        if let (Ok(()), Some(spool)) = (&done, &mut self.spool) {
            done = spool.append_control(now, json).map(drop);
        }
        self.appended(now, done)
    }

    /// None when this process has logged nothing.
    pub fn sync_handle(&mut self) -> Result<Option<SyncHandle>, SpoolError> {
        self.give_up_inherited();
        self.spool.as_mut().map(SpoolWriter::sync_handle).transpose()
    }

    /// What is done now and then, and what of it people should know.
    pub fn tend(&mut self) -> Option<String> {
        self.give_up_inherited();
        let spool = self.spool.as_mut()?;
        match spool.tend() {
            Ok(()) => spool.take_notice(),
            Err(e) => Some(format!("{e} (this is tried again)")),
        }
    }

    /// See `SpoolWriter::stop_waiting`.
    pub fn stop_waiting(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.stop_waiting();
        }
    }

    pub fn is_buffered(&self) -> bool {
        self.own_spool().is_some_and(SpoolWriter::is_buffered)
    }

    pub fn close(&mut self) -> Result<(), SpoolError> {
        self.give_up_inherited();
        if let Some(spool) = &mut self.spool {
            spool.seal()?;
            self.last = Ended::of(spool);
        }
        self.closed = true;
        self.spool = None;
        self.keys = KeyMemory::default();
        Ok(())
    }

    pub fn count_refused(&mut self, values: u64) {
        self.refused += values;
    }

    /// At the end: values that no device will deliver any more.
    pub fn count_undelivered(&mut self, values: u64) {
        self.undelivered += values;
    }

    pub fn undelivered(&self) -> u64 {
        self.undelivered
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub fn stats(&self) -> WriterStats {
        let mut stats = self.own_spool().map_or(self.last.stats, SpoolWriter::stats);
        stats.lost_points += self.lost.as_ref().map_or(0, |lost| lost.points);
        stats
    }

    pub fn last_seq(&self) -> u64 {
        self.own_spool().map_or(self.last.seq, SpoolWriter::last_seq)
    }

    /// Empty in a forked child that has logged nothing.
    pub fn path(&self) -> String {
        self.own_spool().map_or_else(|| self.last.path.clone(), |spool| Ended::of(spool).path)
    }

    pub fn writer_id(&self) -> String {
        self.own_spool().map_or_else(|| self.last.writer.clone(), |spool| spool.writer_id().to_hex())
    }

    /// In a forked child: forgets the parent's spool and its counters. What is left of it here is the memory map, untouched.
    pub fn give_up_inherited(&mut self) {
        if self.generation == fork::generation() {
            return;
        }
        self.generation = fork::generation();
        if let Some(spool) = self.spool.take() {
            spool.abandon();
        }
        self.keys = KeyMemory::default();
        self.last = Ended::default();
        self.lost = None;
        self.refused = 0;
        self.undelivered = 0;
        // Somebody must look after the spool that the first record makes.
        (self.next_tick_ms, self.wake_ms) = (0, 1);
    }

    fn own_spool(&self) -> Option<&SpoolWriter> {
        self.spool.as_ref().filter(|_| self.generation == fork::generation())
    }

    /// Makes sure that there is a spool of this process; `points` are lost if not.
    fn open(&mut self, points: u64, now: i64) -> Result<(), SpoolError> {
        self.give_up_inherited();
        if self.closed {
            self.refused += points;
            return Err(SpoolError::closed());
        }
        if self.spool.is_some() {
            return Ok(());
        }
        if let Some(lost) = self.lost.as_mut().filter(|lost| lost.tried.elapsed() < RETRY) {
            lost.points += points;
            return Err(lost.error.clone());
        }
        let meta = SpoolMeta {
            writer: String::new(),
            pid: std::process::id(),
            created_ms: now,
            child: true,
            ..self.meta.clone()
        };
        match SpoolWriter::create(&self.root, meta, self.options.clone()) {
            Ok(mut spool) => {
                if let Some(lost) = self.lost.take() {
                    spool.add_lost(lost.points, now, &lost.error);
                }
                self.spool = Some(spool);
                Ok(())
            }
            Err(error) => {
                let points = points + self.lost.as_ref().map_or(0, |lost| lost.points);
                self.lost = Some(Lost { points, error: error.clone(), tried: Instant::now() });
                Err(error)
            }
        }
    }

    /// Whether a device owes values: then each call looks for them.
    pub fn expect_values(&mut self, owed: bool) {
        self.wake_ms = if owed { 0 } else { self.next_tick_ms };
    }

    fn take_step(&mut self, step: Option<i64>) -> i64 {
        let step = step.unwrap_or(self.next_step);
        self.next_step = step.saturating_add(1);
        step
    }

    #[inline]
    fn appended(&mut self, now: i64, done: Result<(), SpoolError>) -> Appended {
        let segments = self.spool.as_ref().map_or(0, |spool| spool.stats().segments);
        // A clock that was set back must not silence the hook.
        let due = now >= self.wake_ms || now < self.wake_ms - 2 * TICK_MS || segments != self.segments;
        let tick = due && self.tick_is_due(now, segments);
        let error = done.err().map(|e| {
            let outage = if e.kind() == SpoolErrorKind::Closed { u64::MAX } else { segments };
            (e, outage)
        });
        Appended { due, tick, error }
    }

    #[cold]
    fn tick_is_due(&mut self, now: i64, segments: u64) -> bool {
        let due = now >= self.next_tick_ms || now < self.next_tick_ms - 2 * TICK_MS || segments != self.segments;
        if due {
            let owed = self.wake_ms == 0;
            self.next_tick_ms = now.saturating_add(TICK_MS);
            self.segments = segments;
            self.expect_values(owed);
        }
        due
    }
}

impl Ended {
    fn of(spool: &SpoolWriter) -> Ended {
        Ended {
            stats: spool.stats(),
            seq: spool.last_seq(),
            path: spool.dir().to_string_lossy().into_owned(),
            writer: spool.writer_id().to_hex(),
        }
    }
}

#[inline]
fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_secs() as i64 * 1000 + i64::from(since_epoch.subsec_millis())
}
