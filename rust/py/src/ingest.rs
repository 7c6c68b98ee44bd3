//! `_core.WriterSession`, `_core.Batch` and `_core.build_block`: what the service needs of the core.

mod block;
mod encode;
mod input;
mod session;

use pyo3::prelude::*;
use stepline_core::batch::{BatchError, ErrorKind};

use crate::error::core_error;

/// The 64-bit id of a name.
#[pyfunction]
fn siphash64(text: &str) -> u64 {
    stepline_core::id::siphash64(text)
}

/// "corrupt": the same records, sent again, may pass. "unsupported": this build is too old. "invalid": never.
fn batch_error(py: Python<'_>, error: &BatchError) -> PyErr {
    let kind = match error.kind() {
        ErrorKind::Version => "unsupported",
        ErrorKind::Checksum | ErrorKind::Truncated | ErrorKind::UnknownDefinition => "corrupt",
        _ => "invalid",
    };
    core_error(py, kind, error.to_string())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<session::WriterSession>()?;
    m.add_class::<session::Batch>()?;
    m.add_function(wrap_pyfunction!(block::build_block, m)?)?;
    m.add_function(wrap_pyfunction!(block::write_block, m)?)?;
    m.add_function(wrap_pyfunction!(siphash64, m)?)?;
    m.add_class::<encode::BatchEncoder>()?;
    m.add_function(wrap_pyfunction!(encode::encode_batch, m)?)
}
