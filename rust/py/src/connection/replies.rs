//! Streams of replies as Python iterators.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use stepline_wire::v1;
use tonic::Streaming;

use super::dicts;
use super::line::{to_error, Line};
use super::Connection;
use crate::error::core_error;

/// A stream that was begun on a connection of its own, which goes back when the stream has ended well.
pub(super) struct Replies<T> {
    connection: Py<Connection>,
    going: Mutex<Option<Going<T>>>,
}

struct Going<T> {
    // In this order: the stream goes before what moves it.
    stream: Streaming<T>,
    line: Line,
}

impl<T: Send> Replies<T> {
    pub fn new(connection: Py<Connection>, line: Line, stream: Streaming<T>) -> Replies<T> {
        Replies { connection, going: Mutex::new(Some(Going { stream, line })) }
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<T>> {
        let Some(mut going) = self.take() else {
            return Ok(None);
        };
        if !going.line.is_ours() {
            std::mem::forget(going);
            return Err(core_error(py, "closed", "the stream belongs to the process before the fork: ask again"));
        }
        let Going { stream, line } = &mut going;
        match line.wait(py, |_| async { Ok(stream.message().await?) })? {
            Ok(Some(reply)) => {
                *self.going.lock().unwrap_or_else(PoisonError::into_inner) = Some(going);
                Ok(Some(reply))
            }
            Ok(None) => {
                let Going { stream, line } = going;
                drop(stream);
                self.connection.get().give_back(line);
                Ok(None)
            }
            Err(failure) => Err(to_error(py, &self.connection.get().server, &failure)),
        }
    }
}

impl<T> Replies<T> {
    fn take(&self) -> Option<Going<T>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for Replies<T> {
    fn drop(&mut self) {
        if let Some(going) = self.take() {
            if !going.line.is_ours() {
                std::mem::forget(going);
            }
        }
    }
}

type Expired = (String, u32, u32, String, u64, i64, i64, i64, i64);

fn expired(gaps: Vec<v1::ExpiredPoints>) -> Vec<Expired> {
    let row = |gap: v1::ExpiredPoints| {
        let (steps, times) = ((gap.first_step, gap.last_step), (gap.first_time_ms, gap.last_time_ms));
        (gap.metric, gap.rank, gap.attempt, gap.run_id, gap.points, steps.0, steps.1, times.0, times.1)
    };
    gaps.into_iter().map(row).collect()
}

#[pyclass(frozen)]
pub struct HistoryStream(pub(super) Replies<v1::HistoryChunk>);

#[pymethods]
impl HistoryStream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[allow(clippy::type_complexity)] // the tuple of the stub
    fn __next__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<
        Option<(u64, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<Expired>)>,
    > {
        let column = |bytes: &[u8]| PyBytes::new(py, bytes);
        let chunk = self.0.next(py)?;
        Ok(chunk.map(|chunk| {
            let columns = [&chunk.step, &chunk.time_ms, &chunk.value, &chunk.attempt];
            let [step, time, value, attempt] = columns.map(|bytes| column(bytes));
            (chunk.rows, step, time, value, attempt, expired(chunk.expired))
        }))
    }
}

#[pyclass(frozen)]
pub struct ExportStream(pub(super) Replies<v1::ExportChunk>);

type Slice = (String, u32, u32, u64, String);

#[pymethods]
impl ExportStream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[allow(clippy::type_complexity)] // the tuple of the stub
    fn __next__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<
        Option<(
            Vec<Slice>,
            Bound<'py, PyBytes>,
            Bound<'py, PyBytes>,
            Bound<'py, PyBytes>,
            Vec<Expired>,
            Bound<'py, PyBytes>,
        )>,
    > {
        let column = |bytes: &[u8]| PyBytes::new(py, bytes);
        let Some(chunk) = self.0.next(py)? else {
            return Ok(None);
        };
        let slices = chunk.slices.into_iter();
        let slices = slices.map(|slice| (slice.metric, slice.rank, slice.attempt, slice.rows, slice.run_id));
        Ok(Some((
            slices.collect(),
            column(&chunk.step),
            column(&chunk.time_ms),
            column(&chunk.value),
            expired(chunk.expired),
            column(&chunk.cursor),
        )))
    }
}

#[pyclass(frozen)]
pub struct BackupStream(pub(super) Replies<v1::BackupProgress>);

#[pymethods]
impl BackupStream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<(u64, u64, String, String)>> {
        let progress = self.0.next(py)?;
        Ok(progress.map(|step| (step.done_bytes, step.total_bytes, step.path, step.created)))
    }
}

#[pyclass(frozen)]
pub struct DoctorStream(pub(super) Replies<v1::DoctorEvent>);

#[pymethods]
impl DoctorStream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.next(py)?.map(|event| super::audit::event(py, event)).transpose()
    }
}

#[pyclass(frozen)]
pub struct WatchStream(pub(super) Replies<v1::WatchUpdate>);

#[pymethods]
impl WatchStream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.next(py)?.map(|update| dicts::watch_update(py, &update)).transpose()
    }
}
