//! The exceptions of the extension, and how a Rust error becomes one.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::panic::PanicException;
use pyo3::prelude::*;

create_exception!(_core, CoreError, PyException, "An error of the Rust core; `kind` says which.");
create_exception!(_core, RpcError, CoreError, "A gRPC status; `code` is its name.");

/// A `CoreError` with its `kind` set.
pub fn core_error(py: Python<'_>, kind: &str, message: impl Into<String>) -> PyErr {
    let err = CoreError::new_err(message.into());
    match err.value(py).setattr("kind", kind) {
        Ok(()) => err,
        Err(other) => other,
    }
}

/// An `RpcError` with `kind`, `code` and `message` set.
pub fn rpc_error(py: Python<'_>, kind: &str, code: &str, message: &str) -> PyErr {
    let err = RpcError::new_err(format!("{code}: {message}"));
    let value = err.value(py);
    let set = value
        .setattr("kind", kind)
        .and_then(|()| value.setattr("code", code))
        .and_then(|()| value.setattr("message", message));
    match set {
        Ok(()) => err,
        Err(other) => other,
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("CoreError", m.py().get_type::<CoreError>())?;
    m.add("PanicException", m.py().get_type::<PanicException>())?;
    m.add("RpcError", m.py().get_type::<RpcError>())
}
