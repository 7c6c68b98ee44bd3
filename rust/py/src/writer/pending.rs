//! Values that a device has still to deliver: their copies are under way, their records are written when they arrive.
//!
//! - Calls are recorded in the order in which they were logged, with the step and the time of the call. A value that comes late holds
//!   those after it back, so there are no two orders to think of.
//! - What waits is bounded: `MAX_VALUES`, and one call may exceed it when nothing else waits.
//! - Nothing here ever waits for a device but `Writer::collect`, which `flush()` and `finish()` call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyList};

use super::fork;
use super::state::Stamp;

/// Beyond this many waiting values further ones are refused and counted.
pub const MAX_VALUES: usize = 100_000;

/// The values of one call that lie on a device.
pub struct Call {
    pub names: Vec<String>,
    pub stamp: Stamp,
    /// What `stepline.devices.fetch` returned.
    pub fetch: Py<PyAny>,
}

#[derive(Default)]
pub struct Pending {
    queue: Mutex<Queue>,
    /// One thread at a time looks at the oldest call, which keeps the order. Holds the number of the process in which one does.
    busy: AtomicU64,
    collected: AtomicU64,
}

#[derive(Default)]
struct Queue {
    generation: u64,
    calls: VecDeque<Arc<Call>>,
    values: usize,
}

impl Pending {
    /// How many values wait.
    pub fn values(&self) -> usize {
        self.lock().values
    }

    pub fn has_room(&self, values: usize) -> bool {
        let queue = self.lock();
        queue.values == 0 || queue.values + values <= MAX_VALUES
    }

    pub fn push(&self, call: Call) {
        let mut queue = self.lock();
        queue.values += call.names.len();
        queue.calls.push_back(Arc::new(call));
    }

    /// The number that `collected` reaches when all that waits now has been taken.
    pub fn goal(&self) -> u64 {
        let queue = self.lock();
        self.collected.load(Ordering::Relaxed) + queue.calls.len() as u64
    }

    pub fn collected(&self) -> u64 {
        self.collected.load(Ordering::Relaxed)
    }

    /// Hands each call that has come to `take`, in order. Runs Python code, without a lock. Does nothing when another thread is at it.
    pub fn collect(
        &self,
        py: Python<'_>,
        mut take: impl FnMut(&Call, PyResult<Vec<f64>>) -> PyResult<()>,
    ) -> PyResult<()> {
        let this_process = fork::generation() + 1;
        if self.busy.swap(this_process, Ordering::Acquire) == this_process {
            return Ok(());
        }
        let _idle = Idle(&self.busy);
        loop {
            // Not under the lock, which the reading of the values must not find held.
            let Some(call) = self.lock().calls.front().cloned() else { return Ok(()) };
            let came = match read(py, &call) {
                Ok(None) => return Ok(()),
                Ok(Some(values)) => Ok(values),
                Err(e) if e.is_instance_of::<PyException>(py) => Err(e),
                // KeyboardInterrupt: not about the values.
                Err(e) => return Err(e),
            };
            {
                let mut queue = self.lock();
                queue.calls.pop_front();
                queue.values -= call.names.len().min(queue.values);
            }
            self.collected.fetch_add(1, Ordering::Relaxed);
            take(&call, came)?;
        }
    }

    /// Gives up what waits.
    pub fn clear(&self) {
        let calls = {
            let mut queue = self.lock();
            queue.values = 0;
            std::mem::take(&mut queue.calls)
        };
        // After the lock: the last reference to a tensor may run Python code.
        drop(calls);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.generation != fork::generation() {
            // In a forked child what waits is the parent's, and no device can be used here, not even to free its memory.
            std::mem::forget(std::mem::take(&mut *queue));
            queue.generation = fork::generation();
        }
        queue
    }
}

struct Idle<'a>(&'a AtomicU64);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

/// The values of a call when they are there.
fn read(py: Python<'_>, call: &Call) -> PyResult<Option<Vec<f64>>> {
    let fetch = call.fetch.bind(py);
    if !fetch.call_method0(pyo3::intern!(py, "done"))?.is_truthy()? {
        return Ok(None);
    }
    let values: Vec<f64> = fetch.call_method0(pyo3::intern!(py, "values"))?.extract()?;
    if values.len() != call.names.len() {
        let message = format!("{} values came for {} metrics", values.len(), call.names.len());
        return Err(PyRuntimeError::new_err(message));
    }
    Ok(Some(values))
}

/// `stepline.devices`, which knows the libraries that have tensors; imports none of them.
fn devices<'py>(py: Python<'py>, name: &str, known: &'static PyOnceLock<Py<PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let function =
        known.get_or_try_init(py, || -> PyResult<_> { Ok(py.import("stepline.devices")?.getattr(name)?.unbind()) })?;
    Ok(function.bind(py).clone())
}

/// The number in an array of no dimensions; None when it lies on a device and is to be fetched.
pub fn number(value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    static READ: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found = devices(value.py(), "read", &READ)?.call1((value,))?;
    match found.cast::<PyFloat>() {
        Ok(number) => Ok(Some(number.value())),
        Err(_) if found.is_none() => Ok(None),
        Err(_) => found.extract().map(Some),
    }
}

/// Begins to copy values from their devices.
pub fn fetch(py: Python<'_>, values: &[Bound<'_, PyAny>]) -> PyResult<Py<PyAny>> {
    static FETCH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(devices(py, "fetch", &FETCH)?.call1((PyList::new(py, values)?,))?.unbind())
}
