//! Bytes that come from Python.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

/// A `bytes` object as it is; other buffers are copied into one. The stable ABI of Python 3.10 has no buffers to borrow from, and
/// `bytes` are what gRPC hands out.
pub(super) fn bytes<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
        let copy = data.py().get_type::<PyBytes>().call1((data,))?;
        return Ok(copy.cast_into::<PyBytes>()?);
    }
    Err(PyTypeError::new_err("data is bytes, a bytearray or a memoryview"))
}
