//! Warnings that say a thing once.

use std::collections::HashSet;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyString;
use stepline_core::spool::SpoolError;

use super::refusal::{Kind, Refusal};

/// Beyond this many different ones there are no more warnings, only the count.
const MAX_WARNINGS: usize = 1_000;

#[derive(Default)]
pub struct Warnings {
    refusals: Mutex<HashSet<(String, Kind)>>,
    outage: Mutex<Option<u64>>,
    notice: Mutex<Option<String>>,
}

impl Warnings {
    /// Once for each metric and kind of problem.
    pub fn refusal(&self, py: Python<'_>, refusal: &Refusal) -> PyResult<()> {
        let new = {
            let mut seen = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            seen.len() < MAX_WARNINGS && seen.insert((refusal.metric.clone(), refusal.problem.kind))
        };
        if !new {
            return Ok(());
        }
        warn(py, &format!("{} (left out and counted; shown once)", refusal.message()))
    }

    /// Once for each outage.
    pub fn trouble(&self, py: Python<'_>, error: &SpoolError, outage: u64) -> PyResult<()> {
        let before = self.outage.lock().unwrap_or_else(PoisonError::into_inner).replace(outage);
        if before == Some(outage) {
            return Ok(());
        }
        warn(py, &format!("points are not recorded: {error} (what is lost is counted; shown once)"))
    }
}

impl Warnings {
    /// Once for each text.
    pub fn notice(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let before = self.notice.lock().unwrap_or_else(PoisonError::into_inner).replace(text.to_owned());
        if before.as_deref() == Some(text) {
            return Ok(());
        }
        warn(py, text)
    }
}

/// A RuntimeWarning at the line outside of this package that made the call.
pub fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    let message = CString::new(message.replace('\0', "\\0"))?;
    let level = stack_level(py).unwrap_or(1);
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &message, level)
}

fn stack_level(py: Python<'_>) -> PyResult<i32> {
    let mut frame = py.import("sys")?.call_method1("_getframe", (0,))?;
    let mut level = 1;
    loop {
        let module = frame.getattr("f_globals")?.get_item("__name__")?;
        let name = module.cast::<PyString>().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name != "stepline" && !name.starts_with("stepline.") {
            return Ok(level);
        }
        frame = frame.getattr("f_back")?;
        if frame.is_none() {
            return Ok(level);
        }
        level += 1;
    }
}
