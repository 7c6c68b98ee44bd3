//! `_core.Writer`: what a training process calls.
//!
//! Invariants of this module:
//!
//! - **No Python code runs under the lock.** The walk under it (`walk`) only looks at exact types of the interpreter; everything else is
//!   converted before (`flatten`, `number`). So a call that comes from within a conversion, a finalizer or a signal handler finds the
//!   lock free, and a record is appended whole or not at all.
//! - **The lock is only held by a thread that is attached to the interpreter,** and never across a detach. `os.fork` needs the
//!   interpreter too, so no child inherits it locked.
//! - **A spool belongs to one process.** A forked child gives up what it inherited (`fork`) and opens a spool of its own when it logs.

mod array;
mod buffer;
mod flatten;
mod fork;
mod keys;
mod latency;
mod number;
mod patience;
mod pending;
mod refusal;
mod state;
mod step;
mod tick;
mod walk;
mod warning;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use stepline_core::id::WriterId;
use stepline_core::spool::{LimitPolicy, SpoolError, SpoolMeta, WriteMode, WriterOptions};

use crate::error::core_error;
use patience::Patience;
use pending::Call;
use refusal::{Problem, Refusal};
use state::{Appended, Shared};
use tick::Tick;
use warning::Warnings;

/// How long `collect` sleeps between two looks.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

#[pyclass(frozen, module = "stepline._core")]
struct Writer {
    shared: Arc<Shared>,
    warnings: Warnings,
    /// Errors are raised instead of warned of.
    raises: bool,
    tick: Tick,
    patience: Patience,
}

#[pymethods]
impl Writer {
    #[new]
    #[pyo3(signature = (
        root, meta_json, *, segment_bytes = 8 << 20, on_error = "warn", on_tick = None,
        write = "auto", limit_bytes = 0, policy = "refuse", longest_wait = 60.0,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        root: PathBuf,
        meta_json: &str,
        segment_bytes: usize,
        on_error: &str,
        on_tick: Option<Py<PyAny>>,
        write: &str,
        limit_bytes: u64,
        policy: &str,
        longest_wait: f64,
    ) -> PyResult<Self> {
        let raises = match on_error {
            "warn" => false,
            "raise" => true,
            other => {
                let message = format!("on_error is {other:?}; it is \"warn\" or \"raise\"");
                return Err(core_error(py, "invalid", message));
            }
        };
        let write = match write {
            "auto" => WriteMode::Auto,
            "mapped" => WriteMode::Mapped,
            "buffered" => WriteMode::Buffered,
            other => {
                let message = format!("write is {other:?}; it is \"auto\", \"mapped\" or \"buffered\"");
                return Err(core_error(py, "invalid", message));
            }
        };
        let policy = match policy {
            "refuse" => LimitPolicy::Refuse,
            "block" => LimitPolicy::Block,
            "drop_oldest" => LimitPolicy::DropOldest,
            other => {
                let message = format!("policy is {other:?}; it is \"refuse\", \"block\" or \"drop_oldest\"");
                return Err(core_error(py, "invalid", message));
            }
        };
        let longest_wait = Duration::try_from_secs_f64(longest_wait)
            .map_err(|_| core_error(py, "invalid", format!("longest_wait is {longest_wait}; give seconds")))?;
        let options = WriterOptions { segment_bytes, write, limit_bytes, policy, ..WriterOptions::default() };
        let shared = SpoolMeta::from_json(meta_json)
            .and_then(|meta| Shared::create(root, meta, options))
            .map_err(|e| spool_error(py, &e))?;
        let patience = Patience::new(longest_wait);
        Ok(Writer { shared, warnings: Warnings::default(), raises, tick: Tick::new(on_tick), patience })
    }

    #[pyo3(signature = (metrics, step = None))]
    fn log(&self, py: Python<'_>, metrics: &Bound<'_, PyAny>, step: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let timed = self.shared.latency.begin();
        let done = self.log_call(py, metrics, step);
        if let Some(began) = timed {
            self.shared.latency.end(began);
        }
        done
    }

    fn log_array(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        steps: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match array::read(name, steps, values) {
            Ok((name, columns)) => {
                let mut from = 0;
                let done = self.patience.until_taken(py, &self.shared, &self.warnings, || {
                    let (taken, done) = array::append(&self.shared, name, &columns, from);
                    from += taken;
                    done
                })?;
                self.after(py, done)
            }
            Err(refusal) => self.refuse(py, vec![refusal]),
        }
    }

    fn control(&self, py: Python<'_>, payload_json: &str) -> PyResult<()> {
        let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(payload_json);
        if let Err(e) = parsed {
            return Err(core_error(py, "invalid", format!("a control record is a JSON object: {e}")));
        }
        let done = self.shared.with(|state| state.control(payload_json));
        // Whatever on_error says: who writes a control record must know that it is not there.
        done.error.map_or(Ok(()), |(e, _)| Err(spool_error(py, &e)))?;
        if done.tick {
            self.tick.run(py)
        } else {
            Ok(())
        }
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        let handle = self.shared.with(|state| state.sync_handle()).map_err(|e| spool_error(py, &e))?;
        let Some(handle) = handle else { return Ok(()) };
        py.detach(|| handle.run()).map_err(|e| spool_error(py, &e))
    }

    /// Waits until what the devices owe now is recorded.
    #[pyo3(signature = (timeout = None))]
    fn collect(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<usize> {
        let began = Instant::now();
        let timeout = timeout.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
        let (goal, mut pause) = (self.shared.pending.goal(), FIRST_PAUSE);
        loop {
            self.collect_ready(py)?;
            let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
            if self.shared.pending.collected() >= goal || left.is_some_and(|left| left.is_zero()) {
                return Ok(self.shared.pending.values());
            }
            py.detach(|| std::thread::sleep(left.map_or(pause, |left| left.min(pause))));
            py.check_signals()?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.tick.clear();
        let undelivered = self.shared.pending.values() as u64;
        self.shared.with(|state| state.count_undelivered(undelivered));
        self.shared.pending.clear();
        self.shared.with(|state| state.close()).map_err(|e| spool_error(py, &e))
    }

    fn last_seq(&self) -> u64 {
        self.shared.with(|state| state.last_seq())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, refused) = self.shared.with(|state| (state.stats(), state.refused()));
        let dict = PyDict::new(py);
        dict.set_item("points", stats.points - stats.dropped_points)?;
        dict.set_item("records", stats.records)?;
        dict.set_item("bytes", stats.bytes)?;
        dict.set_item("refused", refused)?;
        dict.set_item("gaps", stats.lost_points + stats.dropped_points)?;
        let undelivered = self.shared.with(|state| state.undelivered());
        dict.set_item("pending", self.shared.pending.values() as u64 + undelivered)?;
        Ok(dict)
    }

    fn latency(&self) -> (Vec<(u64, u64)>, u64) {
        (self.shared.latency.histogram(), self.shared.latency.max())
    }

    #[getter]
    fn buffered(&self) -> bool {
        self.shared.with(|state| state.is_buffered())
    }

    #[getter]
    fn path(&self) -> String {
        self.shared.with(|state| state.path())
    }

    #[getter]
    fn writer_id(&self) -> String {
        self.shared.with(|state| state.writer_id())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tick.traverse(visit)
    }

    fn __clear__(&self) {
        self.tick.clear();
    }
}

impl Writer {
    #[inline]
    fn log_call(&self, py: Python<'_>, metrics: &Bound<'_, PyAny>, step: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let step = match step::read(step) {
            Ok(step) => step,
            Err(problem) => return self.refuse_call(py, problem?, metrics),
        };
        match walk::log(&self.shared, metrics, step) {
            Some(Appended { due: false, error: None, .. }) => Ok(()),
            Some(done) if done.is_busy() => self.log_later(py, metrics, step),
            Some(done) => self.after(py, done),
            None => self.log_any(py, metrics, step),
        }
    }

    /// The common call, when the spool is at its limit and is to be waited for. The dict is read anew each time.
    #[cold]
    fn log_later(&self, py: Python<'_>, metrics: &Bound<'_, PyAny>, step: Option<i64>) -> PyResult<()> {
        let mut changed = false;
        let done = self.patience.until_taken(py, &self.shared, &self.warnings, || {
            let done = walk::log(&self.shared, metrics, step);
            changed = done.is_none();
            done.unwrap_or_default()
        })?;
        if changed {
            // Another thread put something else into the dict.
            return self.log_any(py, metrics, step);
        }
        self.after(py, done)
    }

    /// The way of everything that the walk does not take.
    #[cold]
    fn log_any(&self, py: Python<'_>, metrics: &Bound<'_, PyAny>, step: Option<i64>) -> PyResult<()> {
        let mut flat = match flatten::flatten(metrics)? {
            Ok(flat) => flat,
            Err(refusal) => return self.refuse(py, vec![refusal]),
        };
        let mut refused = std::mem::take(&mut flat.refused);
        if self.raises && !refused.is_empty() {
            return self.refuse(py, refused);
        }
        let (names, values) = flat.take_on_device();
        let fetch = match self.fetch(py, &names, &values)? {
            Ok(fetch) => fetch,
            Err(refusals) if self.raises => return self.refuse(py, refusals),
            Err(refusals) => {
                refused.extend(refusals);
                None
            }
        };
        let stamp = self.shared.with(|state| state.stamp(step));
        let mut unnamed = Vec::new();
        let done = flat.with_names(|names, keys, values| {
            self.patience.until_taken(py, &self.shared, &self.warnings, || {
                let done;
                (done, unnamed) = self.shared.with(|state| state.log_named(names, keys, values, stamp, self.raises));
                done
            })
        })??;
        refused.extend(unnamed.into_iter().map(Refusal::one_name_too_many));
        if self.raises && !refused.is_empty() {
            return self.refuse(py, refused);
        }
        if let Some(fetch) = fetch {
            self.shared.pending.push(Call { names, stamp, fetch });
            self.shared.with(|state| state.expect_values(true));
        }
        self.after(py, done)?;
        self.refuse(py, refused)
    }

    /// Begins to fetch values from their devices; None when there are none.
    fn fetch(
        &self,
        py: Python<'_>,
        names: &[String],
        values: &[Bound<'_, PyAny>],
    ) -> PyResult<Result<Option<Py<PyAny>>, Vec<Refusal>>> {
        if values.is_empty() {
            return Ok(Ok(None));
        }
        if !self.shared.pending.has_room(values.len()) {
            // Perhaps only nobody has looked.
            self.collect_ready(py)?;
        }
        if !self.shared.pending.has_room(values.len()) {
            return Ok(Err(names.iter().map(|name| Refusal::no_room_for(name, pending::MAX_VALUES)).collect()));
        }
        match pending::fetch(py, values) {
            Ok(fetch) => Ok(Ok(Some(fetch))),
            Err(e) if e.is_instance_of::<PyException>(py) => {
                Ok(Err(names.iter().map(|name| Refusal::undelivered(name, &e)).collect()))
            }
            Err(e) => Err(e),
        }
    }

    /// Records the values that devices have delivered.
    #[cold]
    fn collect_ready(&self, py: Python<'_>) -> PyResult<()> {
        let collected = self.shared.pending.collect(py, |call, came| match came {
            Ok(values) => {
                let names: Vec<&str> = call.names.iter().map(String::as_str).collect();
                let mut unnamed = Vec::new();
                let done = self.patience.until_taken(py, &self.shared, &self.warnings, || {
                    let done;
                    (done, unnamed) =
                        self.shared.with(|state| state.log_named(&names, None, &values, call.stamp, false));
                    done
                })?;
                self.report(py, done)?;
                self.refuse(py, unnamed.into_iter().map(Refusal::one_name_too_many).collect())
            }
            Err(e) => self.refuse(py, call.names.iter().map(|name| Refusal::undelivered(name, &e)).collect()),
        });
        self.shared.with(|state| state.expect_values(self.shared.pending.values() > 0));
        collected
    }

    /// What is left to do without the lock: the hook, and a failed append.
    #[cold]
    fn after(&self, py: Python<'_>, done: Appended) -> PyResult<()> {
        if done.due {
            self.collect_ready(py)?;
        }
        self.report(py, done)
    }

    fn report(&self, py: Python<'_>, done: Appended) -> PyResult<()> {
        if done.tick {
            if let Some(notice) = self.shared.with(|state| state.tend()) {
                self.warnings.notice(py, &notice)?;
            }
            self.tick.run(py)?;
        }
        match done.error {
            Some((e, _)) if self.raises => Err(spool_error(py, &e)),
            Some((e, outage)) => self.warnings.trouble(py, &e, outage),
            None => Ok(()),
        }
    }

    /// Counts values that were left out, and raises or warns.
    fn refuse(&self, py: Python<'_>, refused: Vec<Refusal>) -> PyResult<()> {
        if refused.is_empty() {
            return Ok(());
        }
        self.shared.with(|state| state.count_refused(refused.len() as u64));
        for refusal in refused {
            if self.raises {
                return Err(refusal.into_error());
            }
            self.warnings.refusal(py, &refusal)?;
        }
        Ok(())
    }

    /// A call with a step that is none.
    fn refuse_call(&self, py: Python<'_>, problem: Problem, metrics: &Bound<'_, PyAny>) -> PyResult<()> {
        let values = metrics.len().unwrap_or(1).max(1) as u64;
        self.shared.with(|state| state.count_refused(values - 1));
        self.refuse(py, vec![Refusal::of_call(problem)])
    }
}

/// Called by `os.register_at_fork`.
#[pyfunction]
fn after_fork_in_child() {
    fork::give_up_inherited();
}

#[pyfunction]
fn new_writer_id(py: Python<'_>) -> PyResult<String> {
    match WriterId::random() {
        Ok(id) => Ok(id.to_hex()),
        Err(e) => Err(core_error(py, "io", format!("cannot read random bytes: {e}"))),
    }
}

#[pyfunction]
fn spool_left(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    py.detach(|| stepline_core::spool::points_left(&path)).map_err(|e| spool_error(py, &e))
}

fn spool_error(py: Python<'_>, error: &SpoolError) -> PyErr {
    core_error(py, error.kind().as_str(), error.to_string())
}

/// The `repr` of a key for a message; never fails.
fn shown(object: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 80;
    let text = object.repr().map(|repr: Bound<'_, PyString>| repr.to_string_lossy().into_owned());
    let text = text.unwrap_or_else(|_| "<no repr>".to_owned());
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    fork::watch();
    m.add_class::<Writer>()?;
    m.add_function(wrap_pyfunction!(after_fork_in_child, m)?)?;
    m.add_function(wrap_pyfunction!(new_writer_id, m)?)?;
    m.add_function(wrap_pyfunction!(spool_left, m)?)
}
