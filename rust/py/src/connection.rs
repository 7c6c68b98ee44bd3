//! Calls of the service, blocking, from Python.

mod audit;
mod capture;
mod catalogue;
mod chart;
mod dicts;
mod line;
mod lineage;
mod replies;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use stepline_wire::json::{self, JsonError};
use stepline_wire::{v1, Failure, Link, TlsFiles};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::error::core_error;
use line::{to_error, Line};
use replies::{BackupStream, DoctorStream, ExportStream, HistoryStream, Replies, WatchStream};

/// Lines that wait for the next call; each thread that calls at the same time has its own.
const IDLE_LINES: usize = 8;

#[pyclass(frozen)]
struct Connection {
    server: String,
    api_key: Option<String>,
    tls: TlsFiles,
    timeout: Duration,
    /// Locked only with the interpreter held, and never while waiting: so a fork finds it free.
    idle: Mutex<Vec<Line>>,
}

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (server, *, api_key = None, tls_ca = None, tls_cert = None, tls_key = None, timeout = 10.0))]
    fn new(
        py: Python<'_>,
        server: String,
        api_key: Option<String>,
        tls_ca: Option<PathBuf>,
        tls_cert: Option<PathBuf>,
        tls_key: Option<PathBuf>,
        timeout: f64,
    ) -> PyResult<Self> {
        let tls = TlsFiles { ca: tls_ca, cert: tls_cert, key: tls_key };
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|_| core_error(py, "invalid", format!("timeout is {timeout}: give a number of seconds")))?;
        let line = Line::new(py, &server, api_key.as_deref(), &tls)?;
        Ok(Connection { server, api_key, tls, timeout, idle: Mutex::new(vec![line]) })
    }

    fn create_run<'py>(&self, py: Python<'py>, request_json: &str) -> PyResult<(u32, Bound<'py, PyDict>)> {
        let request = parsed(py, json::create_run(request_json))?;
        let reply =
            self.unary(py, "CreateRun", request, |link, request| async move { link.runs().create_run(request).await })?;
        Ok((reply.attempt, dicts::run(py, &reply.run.unwrap_or_default())?))
    }

    fn update_run(&self, py: Python<'_>, request_json: &str) -> PyResult<()> {
        let request = parsed(py, json::update_run(request_json))?;
        self.unary(py, "UpdateRun", request, |link, request| async move { link.runs().update_run(request).await })
            .map(drop)
    }

    fn finish_run(&self, py: Python<'_>, request_json: &str) -> PyResult<()> {
        let request = parsed(py, json::finish_run(request_json))?;
        self.unary(py, "FinishRun", request, |link, request| async move { link.runs().finish_run(request).await })
            .map(drop)
    }

    fn get_run<'py>(&self, py: Python<'py>, run_id: String) -> PyResult<Bound<'py, PyDict>> {
        let request = v1::GetRunRequest { run_id };
        let reply =
            self.unary(py, "GetRun", request, |link, request| async move { link.runs().get_run(request).await })?;
        dicts::run(py, &reply.run.unwrap_or_default())
    }

    fn list_runs<'py>(&self, py: Python<'py>, fields: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let request = catalogue::runs_request(fields)?;
        let reply =
            self.unary(py, "ListRuns", request, |link, request| async move { link.runs().list_runs(request).await })?;
        catalogue::runs_reply(py, &reply)
    }

    fn list_projects<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::ListProjectsRequest {};
        let reply = self.unary(py, "ListProjects", request, |link, request| async move {
            link.catalogue().list_projects(request).await
        })?;
        reply.projects.iter().map(|project| catalogue::project(py, project)).collect()
    }

    fn list_run_keys<'py>(
        &self,
        py: Python<'py>,
        fields: &Bound<'py, PyDict>,
    ) -> PyResult<(Vec<Bound<'py, PyDict>>, u64)> {
        let request = catalogue::keys_request(fields)?;
        let reply = self.unary(py, "ListRunKeys", request, |link, request| async move {
            link.catalogue().list_run_keys(request).await
        })?;
        let keys = reply.keys.iter().map(|key| catalogue::key(py, key)).collect::<PyResult<_>>()?;
        Ok((keys, reply.total))
    }

    fn list_config_changes<'py>(&self, py: Python<'py>, run_id: String) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::ListConfigChangesRequest { run_id };
        let reply = self.unary(py, "ListConfigChanges", request, |link, request| async move {
            link.catalogue().list_config_changes(request).await
        })?;
        reply.changes.iter().map(|change| catalogue::change(py, change)).collect()
    }

    fn get_lineage<'py>(&self, py: Python<'py>, run_id: String) -> PyResult<Bound<'py, PyDict>> {
        let request = v1::GetLineageRequest { run_id };
        let reply = self
            .unary(py, "GetLineage", request, |link, request| async move { link.runs().get_lineage(request).await })?;
        lineage::reply(py, &reply)
    }

    #[pyo3(signature = (run_id, attempt, step))]
    fn bring_back<'py>(
        &self,
        py: Python<'py>,
        run_id: String,
        attempt: u32,
        step: Option<i64>,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::BringBackRequest { run_id, attempt, step };
        let reply =
            self.unary(py, "BringBack", request, |link, request| async move { link.runs().bring_back(request).await })?;
        lineage::segments(py, &reply.segments)
    }

    fn delete_run(&self, py: Python<'_>, run_id: String) -> PyResult<()> {
        let request = v1::DeleteRunRequest { run_id };
        self.unary(py, "DeleteRun", request, |link, request| async move { link.runs().delete_run(request).await })
            .map(drop)
    }

    #[pyo3(signature = (run_id, *, attempt, rank, parts))]
    fn get_context<'py>(
        &self,
        py: Python<'py>,
        run_id: String,
        attempt: u32,
        rank: Option<u32>,
        parts: Vec<String>,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::GetContextRequest { run_id, attempt, rank, parts };
        let reply =
            self.unary(
                py,
                "GetContext",
                request,
                |link, request| async move { link.capture().get_context(request).await },
            )?;
        reply.parts.iter().map(|part| capture::part(py, part)).collect()
    }

    #[pyo3(signature = (run_id, *, attempt, rank, cursor, limit, tail, contains))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn read_console<'py>(
        &self,
        py: Python<'py>,
        run_id: String,
        attempt: u32,
        rank: u32,
        cursor: Vec<u8>,
        limit: u32,
        tail: u32,
        contains: String,
    ) -> PyResult<Bound<'py, PyDict>> {
        let cursor = cursor.into();
        let request = v1::ReadConsoleRequest { run_id, attempt, rank, cursor, limit, tail, contains };
        let reply = self.unary(py, "ReadConsole", request, |link, request| async move {
            link.capture().read_console(request).await
        })?;
        capture::console(py, &reply)
    }

    fn backup(slf: Bound<'_, Self>, name: String, base: String) -> PyResult<BackupStream> {
        let py = slf.py();
        let request = v1::BackupRequest { name, base };
        let (line, stream) =
            slf.get().stream(py, request, |link, request| async move { link.admin().backup(request).await })?;
        Ok(BackupStream(Replies::new(slf.unbind(), line, stream)))
    }

    #[allow(clippy::type_complexity)] // the tuple of the stub
    fn list_months<'py>(&self, py: Python<'py>, keep_seconds: u64) -> PyResult<(Vec<Bound<'py, PyDict>>, u64)> {
        let request = v1::ListMonthsRequest { keep_seconds };
        let reply = self
            .unary(py, "ListMonths", request, |link, request| async move { link.admin().list_months(request).await })?;
        let months = reply.months.iter().map(|month| dicts::month(py, month)).collect::<PyResult<_>>()?;
        Ok((months, reply.keep_seconds))
    }

    fn list_metrics<'py>(&self, py: Python<'py>, fields: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let request = catalogue::metrics_request(fields)?;
        let reply =
            self.unary(
                py,
                "ListMetrics",
                request,
                |link, request| async move { link.query().list_metrics(request).await },
            )?;
        catalogue::metrics_reply(py, &reply)
    }

    #[pyo3(signature = (run_id, metric, rank, start, stop, all_attempts))]
    #[allow(clippy::too_many_arguments)] // the names are those of the request
    fn history(
        slf: Bound<'_, Self>,
        run_id: String,
        metric: String,
        rank: u32,
        start: Option<i64>,
        stop: Option<i64>,
        all_attempts: bool,
    ) -> PyResult<HistoryStream> {
        let py = slf.py();
        let request = v1::HistoryRequest { run_id, metric, rank, start, stop, all_attempts };
        let (line, stream) =
            slf.get().stream(py, request, |link, request| async move { link.query().history(request).await })?;
        Ok(HistoryStream(Replies::new(slf.unbind(), line, stream)))
    }

    #[pyo3(signature = (run_id, *, metrics, ranks, start, stop, all_attempts, after))]
    #[allow(clippy::too_many_arguments)] // the names are those of the request
    fn export(
        slf: Bound<'_, Self>,
        run_id: String,
        metrics: Vec<String>,
        ranks: Vec<u32>,
        start: Option<i64>,
        stop: Option<i64>,
        all_attempts: bool,
        after: Vec<u8>,
    ) -> PyResult<ExportStream> {
        let py = slf.py();
        let request = v1::ExportRequest { run_id, metrics, ranks, start, stop, all_attempts, after: after.into() };
        let (line, stream) =
            slf.get().stream(py, request, |link, request| async move { link.query().export(request).await })?;
        Ok(ExportStream(Replies::new(slf.unbind(), line, stream)))
    }

    fn chart<'py>(&self, py: Python<'py>, request: &Bound<'py, PyDict>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::ChartRequest { together: true, ..chart::request(request)? };
        let messages = self.collect(py, request, |link, request| async move { link.query().chart(request).await })?;
        let lines = messages.iter().flat_map(|first| std::iter::once(first).chain(&first.others));
        lines.map(|line| dicts::chart_line(py, line)).collect()
    }

    fn watch(slf: Bound<'_, Self>, charts: Vec<Bound<'_, PyDict>>, interval_ms: u32) -> PyResult<WatchStream> {
        let py = slf.py();
        let charts = charts.iter().map(chart::watched).collect::<PyResult<_>>()?;
        let request = v1::WatchRequest { charts, interval_ms };
        let (line, stream) =
            slf.get().stream(py, request, |link, request| async move { link.live().watch(request).await })?;
        Ok(WatchStream(Replies::new(slf.unbind(), line, stream)))
    }

    #[allow(clippy::type_complexity)] // the tuple of the stub
    fn list_writers<'py>(&self, py: Python<'py>, run_id: String) -> PyResult<Vec<(Bound<'py, PyBytes>, u32, u32)>> {
        let request = v1::ListWritersRequest { run_id };
        let reply =
            self.unary(
                py,
                "ListWriters",
                request,
                |link, request| async move { link.audit().list_writers(request).await },
            )?;
        let places = reply.writers.into_iter();
        Ok(places.map(|place| (PyBytes::new(py, &place.writer), place.attempt, place.rank)).collect())
    }

    #[pyo3(signature = (run_id, writer, first_seq, last_seq, width, *, by_metric = false))]
    #[allow(clippy::too_many_arguments)] // the names are those of the request
    fn writer_digests<'py>(
        &self,
        py: Python<'py>,
        run_id: String,
        writer: Vec<u8>,
        first_seq: u64,
        last_seq: u64,
        width: u64,
        by_metric: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = v1::WriterDigestsRequest { run_id, writer: writer.into(), first_seq, last_seq, width, by_metric };
        let reply = self.unary(py, "WriterDigests", request, |link, request| async move {
            link.audit().writer_digests(request).await
        })?;
        dicts::writer_digests(py, &reply)
    }

    fn doctor(slf: Bound<'_, Self>) -> PyResult<DoctorStream> {
        let (line, stream) = slf.get().stream(slf.py(), v1::DoctorRequest {}, |link, request| async move {
            link.audit().doctor(request).await
        })?;
        Ok(DoctorStream(Replies::new(slf.unbind(), line, stream)))
    }

    fn sql<'py>(&self, py: Python<'py>, query: String, format: String) -> PyResult<Bound<'py, PyBytes>> {
        let request = v1::SqlRequest { query, format };
        let chunks = self.collect(py, request, |link, request| async move { link.query().sql(request).await })?;
        let size = chunks.iter().map(|chunk| chunk.data.len()).sum();
        PyBytes::new_with(py, size, |mut rest| {
            for chunk in &chunks {
                let (here, after) = std::mem::take(&mut rest).split_at_mut(chunk.data.len());
                here.copy_from_slice(&chunk.data);
                rest = after;
            }
            Ok(())
        })
    }

    #[pyo3(signature = (scope, project, name, expires_ms))]
    fn create_key<'py>(
        &self,
        py: Python<'py>,
        scope: &str,
        project: String,
        name: String,
        expires_ms: Option<i64>,
    ) -> PyResult<(Bound<'py, PyDict>, String)> {
        let scope = key_scope(py, scope)?.into();
        let request = v1::CreateKeyRequest { scope, project, name, expires_ms };
        let reply =
            self.unary(py, "CreateKey", request, |link, request| async move { link.keys().create_key(request).await })?;
        Ok((dicts::key(py, &reply.key.unwrap_or_default())?, reply.secret))
    }

    fn list_keys<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let request = v1::ListKeysRequest {};
        let reply =
            self.unary(py, "ListKeys", request, |link, request| async move { link.keys().list_keys(request).await })?;
        reply.keys.iter().map(|key| dicts::key(py, key)).collect()
    }

    fn revoke_key<'py>(&self, py: Python<'py>, id: String) -> PyResult<Bound<'py, PyDict>> {
        let request = v1::RevokeKeyRequest { id };
        let reply =
            self.unary(py, "RevokeKey", request, |link, request| async move { link.keys().revoke_key(request).await })?;
        dicts::key(py, &reply.key.unwrap_or_default())
    }

    fn close(&self) {
        self.idle().clear();
    }
}

impl Connection {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Line> {
        let line = {
            let mut idle = self.idle();
            idle.retain(Line::is_ours);
            idle.pop()
        };
        line.map_or_else(|| Line::new(py, &self.server, self.api_key.as_deref(), &self.tls), Ok)
    }

    fn give_back(&self, mut line: Line) {
        line.used = true;
        let mut idle = self.idle();
        if line.is_ours() && idle.len() < IDLE_LINES {
            idle.push(line);
        }
    }

    /// Every unary call may be repeated, so one on a connection that died of age is.
    fn unary<M, T, F>(&self, py: Python<'_>, what: &str, message: M, call: fn(Link, Request<M>) -> F) -> PyResult<T>
    where
        M: Clone + Send,
        T: Send,
        F: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let limit = self.timeout;
        loop {
            let line = self.take(py)?;
            let mut request = Request::new(message.clone());
            // For the service; this side notices first.
            request.set_timeout(limit + Duration::from_secs(1));
            let result = line.wait(py, |link| async move {
                match tokio::time::timeout(limit, call(link, request)).await {
                    Ok(reply) => Ok(reply?.into_inner()),
                    Err(_) => Err(Failure::timed_out(what, limit)),
                }
            })?;
            match result {
                Ok(reply) => {
                    self.give_back(line);
                    return Ok(reply);
                }
                Err(failure) if failure.is_transport() && line.used => {}
                Err(failure) => {
                    // A broken channel speaks of itself as UNKNOWN.
                    if !failure.is_transport() && failure.code() != Code::Unknown {
                        self.give_back(line);
                    }
                    return Err(to_error(py, &self.server, &failure));
                }
            }
        }
    }

    /// Begins a stream of replies. It has no time limit: a large answer takes what it takes, and a dead peer is noticed by pings.
    fn stream<M, T, F>(
        &self,
        py: Python<'_>,
        message: M,
        call: fn(Link, Request<M>) -> F,
    ) -> PyResult<(Line, Streaming<T>)>
    where
        M: Clone + Send,
        T: Send,
        F: Future<Output = Result<Response<Streaming<T>>, Status>> + Send,
    {
        loop {
            let line = self.take(py)?;
            let request = Request::new(message.clone());
            match line.wait(py, |link| async move { Ok(call(link, request).await?.into_inner()) })? {
                Ok(stream) => return Ok((line, stream)),
                Err(failure) if failure.is_transport() && line.used => {}
                Err(failure) => return Err(to_error(py, &self.server, &failure)),
            }
        }
    }

    fn collect<M, T, F>(&self, py: Python<'_>, message: M, call: fn(Link, Request<M>) -> F) -> PyResult<Vec<T>>
    where
        M: Clone + Send,
        T: Send,
        F: Future<Output = Result<Response<Streaming<T>>, Status>> + Send,
    {
        let (line, mut stream) = self.stream(py, message, call)?;
        let all = line.wait(py, |_| async move {
            let mut all = Vec::new();
            while let Some(item) = stream.message().await? {
                all.push(item);
            }
            Ok(all)
        })?;
        match all {
            Ok(all) => {
                self.give_back(line);
                Ok(all)
            }
            Err(failure) => Err(to_error(py, &self.server, &failure)),
        }
    }
}

fn parsed<T>(py: Python<'_>, request: Result<T, JsonError>) -> PyResult<T> {
    request.map_err(|err| core_error(py, "invalid", err.to_string()))
}

fn key_scope(py: Python<'_>, scope: &str) -> PyResult<v1::KeyScope> {
    match scope {
        "ingest" => Ok(v1::KeyScope::Ingest),
        "read" => Ok(v1::KeyScope::Read),
        "admin" => Ok(v1::KeyScope::Admin),
        other => Err(core_error(py, "invalid", format!("scope is {other:?}: use ingest, read or admin"))),
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Connection>()?;
    m.add_class::<BackupStream>()?;
    m.add_class::<HistoryStream>()?;
    m.add_class::<ExportStream>()?;
    m.add_class::<DoctorStream>()?;
    m.add_class::<WatchStream>()
}
