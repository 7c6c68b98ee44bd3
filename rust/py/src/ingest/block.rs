//! Batches as one block for the database.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stepline_core::block;

use super::session::Batch;

/// One `bytes` a column, and the number of rows.
#[pyfunction]
#[pyo3(signature = (batches, received))]
pub fn build_block<'py>(
    py: Python<'py>,
    batches: Vec<(Py<Batch>, u64)>,
    received: u32,
) -> PyResult<(Vec<Bound<'py, PyBytes>>, usize)> {
    let parts: Vec<_> = batches
        .iter()
        .map(|(batch, after_seq)| {
            let batch = batch.get();
            (&batch.key, &batch.decoded, *after_seq)
        })
        .collect();
    let block = py.detach(|| block::build(&parts, received));
    let pieces = block.pieces.iter().map(|piece| PyBytes::new(py, piece)).collect();
    Ok((pieces, block.rows))
}
