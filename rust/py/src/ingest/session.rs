//! Decoding the batches of one stream.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use stepline_core::batch::plain::{self, PlainColumns};
use stepline_core::batch::{BatchError, DecodeLimits, DecodedBatch, StreamDecoder};
use stepline_core::block::WriterKey;
use stepline_core::id::WriterId;
use stepline_wire::v1::PlainBatch;

use super::{batch_error, input};
use crate::error::core_error;

#[pyclass(frozen, module = "stepline._core")]
pub struct WriterSession {
    key: WriterKey,
    max_batch_bytes: usize,
    decoder: Mutex<StreamDecoder>,
}

#[pyclass(frozen, module = "stepline._core")]
pub struct Batch {
    pub(super) key: WriterKey,
    pub(super) decoded: DecodedBatch,
}

#[pymethods]
impl WriterSession {
    #[new]
    #[pyo3(signature = (
        *, writer, run, attempt, rank, max_batch_bytes, max_batch_points, max_decoded_bytes, max_name_bytes, max_metrics
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only in Python
    fn new(
        py: Python<'_>,
        writer: &[u8],
        run: u64,
        attempt: u32,
        rank: u32,
        max_batch_bytes: usize,
        max_batch_points: usize,
        max_decoded_bytes: usize,
        max_name_bytes: usize,
        max_metrics: usize,
    ) -> PyResult<Self> {
        let id = <[u8; 16]>::try_from(writer).map_err(|_| {
            let message = format!("a writer id has {} bytes; give the 16 bytes of Hello.writer", writer.len());
            core_error(py, "invalid", message)
        })?;
        let limits = DecodeLimits {
            max_batch_bytes,
            max_points: max_batch_points,
            max_decoded_bytes,
            max_name_bytes,
            max_metrics,
        };
        Ok(WriterSession {
            key: WriterKey { run, attempt, rank, writer: WriterId(id) },
            max_batch_bytes,
            decoder: Mutex::new(StreamDecoder::new(limits)),
        })
    }

    fn decode_columnar(&self, first_seq: u64, last_seq: u64, data: &Bound<'_, PyAny>) -> PyResult<Batch> {
        let bytes = input::bytes(data)?;
        let data_bytes = bytes.as_bytes();
        self.decode(data.py(), |decoder| decoder.decode(first_seq, last_seq, data_bytes))
    }

    fn decode_plain(&self, first_seq: u64, last_seq: u64, data: &Bound<'_, PyAny>) -> PyResult<Batch> {
        let py = data.py();
        let bytes = input::bytes(data)?;
        let data = bytes.as_bytes();
        if data.len() > self.max_batch_bytes {
            let message = format!(
                "the batch has {} bytes, more than {}. Cut smaller batches, or raise the limit of the service.",
                data.len(),
                self.max_batch_bytes
            );
            return Err(core_error(py, "invalid", message));
        }
        let parsed = py.detach(|| PlainBatch::decode(data)).map_err(|error| {
            let message = format!("the plain batch is no stepline.v1.PlainBatch: {error}. Send the batch again.");
            core_error(py, "corrupt", message)
        })?;
        self.decode(py, |decoder| {
            let columns = PlainColumns {
                metrics: &parsed.metrics,
                metric: &parsed.metric,
                seq: &parsed.seq,
                step: &parsed.step,
                time_ms: &parsed.time_ms,
                value: &parsed.value,
            };
            plain::decode(decoder, first_seq, last_seq, columns)
        })
    }

    fn forget_names(&self, batch: &Batch) {
        self.decoder().forget_names(&batch.decoded);
    }
}

impl WriterSession {
    fn decoder(&self) -> MutexGuard<'_, StreamDecoder> {
        // A decoder that panicked rolled nothing back, but it only ever grows; the lock's poison says nothing more.
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode(
        &self,
        py: Python<'_>,
        decode: impl FnOnce(&mut StreamDecoder) -> Result<DecodedBatch, BatchError> + Send,
    ) -> PyResult<Batch> {
        let decoded = py.detach(|| decode(&mut self.decoder()));
        let decoded = decoded.map_err(|error| batch_error(py, &error))?;
        Ok(Batch { key: self.key, decoded })
    }
}

#[pymethods]
impl Batch {
    #[getter]
    fn first_seq(&self) -> u64 {
        self.decoded.first_seq
    }

    #[getter]
    fn last_seq(&self) -> u64 {
        self.decoded.last_seq
    }

    #[getter]
    fn points(&self) -> usize {
        self.decoded.points
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.decoded.nbytes()
    }

    #[getter]
    fn new_metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs = self.decoded.new_metrics.iter().map(|(id, name)| (*id, &**name).into_pyobject(py));
        let pairs: Vec<Bound<'py, PyTuple>> = pairs.collect::<Result<_, _>>()?;
        PyList::new(py, pairs)
    }
}
