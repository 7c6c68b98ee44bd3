//! Checksums of what a spool holds, for `stepline verify`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepline_core::digest::{self, Digests, Span, MAX_RANGES};
use stepline_core::spool::SpoolReader;

use crate::error::core_error;

#[pyfunction]
#[pyo3(signature = (path, first_seq, last_seq, width, *, by_metric = false))]
fn spool_digests<'py>(
    py: Python<'py>,
    path: PathBuf,
    first_seq: u64,
    last_seq: u64,
    width: u64,
    by_metric: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let ranges = last_seq.saturating_sub(first_seq) / width.max(1);
    if width == 0 || ranges >= MAX_RANGES {
        return Err(core_error(py, "invalid", format!("{width} sequences a range make too many ranges: take more")));
    }
    let span = Span { first: first_seq, last: last_seq, width };
    let found = py.detach(|| digest::digests(&path, span, by_metric));
    let found = found.map_err(|err| core_error(py, err.kind().as_str(), err.to_string()))?;
    to_dict(py, &found, span)
}

/// The lowest sequence that the spool can still give.
#[pyfunction]
fn spool_first_seq(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    let first = py.detach(|| SpoolReader::open(&path)?.first_available());
    first.map(|(seq, _)| seq).map_err(|err| core_error(py, err.kind().as_str(), err.to_string()))
}

fn to_dict<'py>(py: Python<'py>, found: &Digests, span: Span) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let ranges = found.ranges.iter();
    let ranges: Vec<_> = ranges.map(|(n, d)| (span.first + n * span.width, d.points, d.sequences, d.sum)).collect();
    let metrics: Vec<_> = found.metrics.iter().map(|(name, d)| (name, d.points, d.sequences, d.sum)).collect();
    dict.set_item("ranges", ranges)?;
    dict.set_item("metrics", metrics)?;
    dict.set_item("lost", &found.lost)?;
    dict.set_item("damage", &found.damage)?;
    Ok(dict)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(spool_digests, m)?)?;
    m.add_function(wrap_pyfunction!(spool_first_seq, m)?)
}
