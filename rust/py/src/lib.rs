//! The PyO3 skin: conversions only. What each name does is said in python/stepline/_core.pyi.

mod connection;
mod digest;
mod error;
mod ingest;
mod uploader;
mod writer;

use pyo3::prelude::*;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(m)?;
    writer::register(m)?;
    uploader::register(m)?;
    digest::register(m)?;
    connection::register(m)?;
    ingest::register(m)
}
