//! The step of a call.

use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use super::refusal::{Kind, Problem};
use super::shown;

/// The step that was given; None for the writer's own counter. What is no step is a problem, or an exception that is not about it
/// (KeyboardInterrupt).
pub fn read(step: Option<&Bound<'_, PyAny>>) -> Result<Option<i64>, PyResult<Problem>> {
    let Some(step) = step else { return Ok(None) };
    if let Ok(int) = step.cast_exact::<PyInt>() {
        return exact(int).map(Some).ok_or_else(|| Ok(too_large(step)));
    }
    if step.is_instance_of::<PyBool>() || step.is_instance_of::<PyFloat>() {
        return Err(Ok(no_step(step)));
    }
    match step.call_method0(pyo3::intern!(step.py(), "__index__")) {
        Ok(index) => match index.cast_exact::<PyInt>() {
            Ok(int) => exact(int).map(Some).ok_or_else(|| Ok(too_large(step))),
            Err(_) => Err(Ok(no_step(step))),
        },
        Err(e) if e.is_instance_of::<PyException>(step.py()) => Err(Ok(no_step(step))),
        Err(e) => Err(Err(e)),
    }
}

/// None when it does not fit.
#[allow(unsafe_code)]
fn exact(int: &Bound<'_, PyInt>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: an int, alive as long as it is borrowed. For an int no Python code runs and no exception is set.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

fn no_step(step: &Bound<'_, PyAny>) -> Problem {
    let kind = step.get_type().name().map(|n| n.to_string()).unwrap_or_default();
    let what = format!("step is the {kind} {}, not an int", shown(step));
    Problem::new(Kind::Step, what, "pass step=int(...), or leave it out to count calls")
}

fn too_large(step: &Bound<'_, PyAny>) -> Problem {
    let what = format!("step {} does not fit into 64 bits", shown(step));
    Problem::new(Kind::Step, what, "pass a step from -2**63 to 2**63 - 1")
}
