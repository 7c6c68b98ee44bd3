//! A hook that the Python layer hangs into `log()`, called now and then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::warning::warn;

pub struct Tick {
    hook: Mutex<Option<Py<PyAny>>>,
    failed: AtomicBool,
}

impl Tick {
    pub fn new(hook: Option<Py<PyAny>>) -> Tick {
        Tick { hook: Mutex::new(hook), failed: AtomicBool::new(false) }
    }

    /// Calls the hook, without any lock. Its first failure is warned of, later ones are not.
    #[cold]
    pub fn run(&self, py: Python<'_>) -> PyResult<()> {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|hook| hook.clone_ref(py));
        let Some(hook) = hook else { return Ok(()) };
        match hook.call0(py) {
            Err(e) if !e.is_instance_of::<PyException>(py) => Err(e),
            Err(e) if !self.failed.swap(true, Ordering::Relaxed) => warn(
                py,
                &format!("the hook of log() failed: {e}; it is still called, and further failures are not shown"),
            ),
            _ => Ok(()),
        }
    }

    pub fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Held only for the clone above and below: never while the collector runs.
        self.hook.try_lock().map_or(Ok(()), |hook| visit.call(&*hook))
    }

    pub fn clear(&self) {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).take();
        // After the lock: the last reference may run Python code.
        drop(hook);
    }
}
