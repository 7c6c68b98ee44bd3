//! Encoding without a spool, for load tests.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use stepline_core::batch::{BatchError, BatchLimits, StreamEncoder};
use stepline_core::record::Record;

use super::batch_error;
use crate::error::core_error;

/// The record as it comes: sequence, step, time, values by name.
type Call<'py> = (u64, i64, i64, Bound<'py, PyDict>);

#[pyfunction]
pub fn encode_batch<'py>(py: Python<'py>, records: Vec<Call<'py>>) -> PyResult<Bound<'py, PyBytes>> {
    BatchEncoder::new().encode(py, records)
}

/// One stream, and the numbers of the names and key sets that were sent on it.
#[pyclass(module = "stepline._core")]
pub struct BatchEncoder {
    stream: StreamEncoder,
    names: HashMap<String, u32>,
    keysets: HashMap<Vec<u32>, u32>,
}

#[pymethods]
impl BatchEncoder {
    #[new]
    fn new() -> Self {
        let limits = BatchLimits { max_points: usize::MAX, max_raw_bytes: usize::MAX };
        BatchEncoder { stream: StreamEncoder::new(limits), names: HashMap::new(), keysets: HashMap::new() }
    }

    fn encode<'py>(&mut self, py: Python<'py>, records: Vec<Call<'py>>) -> PyResult<Bound<'py, PyBytes>> {
        for (seq, step, time_ms, metrics) in &records {
            let mut names = Vec::with_capacity(metrics.len());
            let mut values = Vec::with_capacity(metrics.len());
            for (name, value) in metrics.iter() {
                let name = name.extract::<String>()?;
                names.push(self.name(&name).map_err(|error| batch_error(py, &error))?);
                values.push(value.extract::<f64>()?);
            }
            let (seq, step, time_ms) = (*seq, *step, *time_ms);
            self.row(seq, step, time_ms, names, &values).map_err(|error| batch_error(py, &error))?;
        }
        match py.detach(|| self.stream.finish()).map_err(|error| batch_error(py, &error))? {
            Some(batch) => Ok(PyBytes::new(py, &batch.bytes)),
            None => Err(core_error(py, "invalid", "there are no records to encode; give at least one")),
        }
    }
}

impl BatchEncoder {
    fn name(&mut self, name: &str) -> Result<u32, BatchError> {
        if let Some(&id) = self.names.get(name) {
            return Ok(id);
        }
        let id = self.names.len() as u32;
        self.stream.push(&Record::Name { id, name }, 0)?;
        self.names.insert(name.to_owned(), id);
        Ok(id)
    }

    fn row(&mut self, seq: u64, step: i64, time_ms: i64, names: Vec<u32>, values: &[f64]) -> Result<(), BatchError> {
        let next = self.keysets.len() as u32;
        let keyset = match self.keysets.get(&names) {
            Some(&keyset) => keyset,
            None => {
                self.stream.push(&Record::KeySet { id: next, names: &names }, 0)?;
                self.keysets.insert(names, next);
                next
            }
        };
        self.stream.push(&Record::Row { seq, time_ms, step, keyset, values }, 0)?;
        Ok(())
    }
}
