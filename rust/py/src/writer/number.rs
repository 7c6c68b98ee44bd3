//! Any Python value as a float, or why not.

use pyo3::exceptions::{PyException, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyComplex, PyFloat, PyInt, PyString, PyType};

use super::pending;
use super::refusal::{Kind, Problem};
use super::shown;

/// What a value is.
pub enum Value {
    Number(f64),
    /// To be fetched from the device that it lies on.
    OnDevice,
}

/// Err is an exception that is not about the value, such as KeyboardInterrupt.
pub type Converted = PyResult<Result<Value, Problem>>;

/// Converts the values of one call.
#[derive(Default)]
pub struct Numbers<'py> {
    /// The type of NumPy scalars that came last: the questions below have one answer for all of a type.
    scalar: Option<Bound<'py, PyType>>,
}

impl<'py> Numbers<'py> {
    /// May run Python code.
    pub fn read(&mut self, value: &Bound<'py, PyAny>) -> Converted {
        let py = value.py();
        if let Ok(float) = value.cast::<PyFloat>() {
            return Ok(Ok(Value::Number(float.value())));
        }
        if value.is_instance_of::<PyInt>() || self.scalar.as_ref().is_some_and(|kind| value.get_type().is(kind)) {
            return call_float(value);
        }
        if let Some(problem) = hopeless(value) {
            return Ok(Err(problem));
        }
        // Arrays and tensors convert to float when they have one element; only those of no dimension are numbers.
        let dimensions = attribute(value, pyo3::intern!(py, "ndim"))?.and_then(|n| n.extract::<usize>().ok());
        match dimensions {
            Some(0) if is_complex(value)? => Ok(Err(complex())),
            Some(0) if is_numpy_scalar(&value.get_type()) => {
                self.scalar = Some(value.get_type());
                call_float(value)
            }
            Some(0) => converted(value, pending::number(value).map(|n| n.map_or(Value::OnDevice, Value::Number))),
            Some(_) => Ok(Err(array(value))),
            None if has_float(value)? => call_float(value),
            None => Ok(Err(no_number(value))),
        }
    }
}

/// A subclass of numpy.generic, without importing NumPy.
fn is_numpy_scalar(kind: &Bound<'_, PyType>) -> bool {
    let mro = kind.mro();
    let Some(base) = mro.len().checked_sub(2).and_then(|last| mro.get_item(last).ok()) else { return false };
    base.cast::<PyType>()
        .ok()
        .and_then(|base| base.fully_qualified_name().ok())
        .is_some_and(|name| name == "numpy.generic")
}

fn call_float(value: &Bound<'_, PyAny>) -> Converted {
    converted(value, value.extract().map(Value::Number))
}

fn converted(value: &Bound<'_, PyAny>, found: PyResult<Value>) -> Converted {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(e) if e.is_instance_of::<PyOverflowError>(value.py()) => {
            let what = "is an int beyond the range of a float".to_owned();
            Ok(Err(Problem::new(Kind::Range, what, "log its logarithm or scale it")))
        }
        Err(e) if e.is_instance_of::<PyException>(value.py()) => {
            let what = format!("is a {}, and float() of it failed: {e}", type_name(value));
            Ok(Err(Problem::new(Kind::Failed, what, "convert it before the call or leave it out")))
        }
        Err(e) => Err(e),
    }
}

/// Types that are no numbers although `float()` or `__float__` may exist for them.
fn hopeless(value: &Bound<'_, PyAny>) -> Option<Problem> {
    if value.is_none() {
        return Some(Problem::new(Kind::Type, "is None", "leave it out of the call, or log float('nan')"));
    }
    if value.is_instance_of::<PyString>() {
        let what = format!("is the str {}", shown(value));
        return Some(Problem::new(Kind::Type, what, "metrics are numbers: put text into run.config or run.summary"));
    }
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        let what = format!("is a {}", type_name(value));
        return Some(Problem::new(Kind::Type, what, "metrics are numbers: decode it before the call"));
    }
    value.is_instance_of::<PyComplex>().then(complex)
}

fn complex() -> Problem {
    Problem::new(Kind::Type, "is complex", "log its real and imaginary part as two metrics")
}

fn array(value: &Bound<'_, PyAny>) -> Problem {
    let shape = value.getattr("shape").map(|shape| shown(&shape)).unwrap_or_default();
    let what = format!("is a {} of shape {shape}", type_name(value));
    let remedy = "log one number such as x.mean() or x.item(); run.log_array() takes many points of one metric";
    Problem::new(Kind::Array, what, remedy)
}

fn no_number(value: &Bound<'_, PyAny>) -> Problem {
    let what = format!("is a {}, not a number", type_name(value));
    let remedy = "convert it with float(); run.log_array() takes many points of one metric";
    Problem::new(Kind::Type, what, remedy)
}

fn is_complex(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    let Some(dtype) = attribute(value, pyo3::intern!(py, "dtype"))? else { return Ok(false) };
    if let Some(kind) = attribute(&dtype, pyo3::intern!(py, "kind"))? {
        return Ok(kind.extract::<char>().is_ok_and(|kind| kind == 'c'));
    }
    // That of torch has no kind.
    let complex = attribute(&dtype, pyo3::intern!(py, "is_complex"))?;
    Ok(complex.is_some_and(|complex| complex.extract::<bool>().unwrap_or_default()))
}

fn has_float(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, kind) = (value.py(), value.get_type());
    Ok(attribute(kind.as_any(), pyo3::intern!(py, "__float__"))?.is_some()
        || attribute(kind.as_any(), pyo3::intern!(py, "__index__"))?.is_some())
}

/// None when it is not there or cannot be had.
fn attribute<'py>(value: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match value.getattr_opt(name) {
        Err(e) if e.is_instance_of::<PyException>(value.py()) => Ok(None),
        other => other,
    }
}

pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().fully_qualified_name().map(|name| name.to_string()).unwrap_or_else(|_| "object".to_owned())
}
