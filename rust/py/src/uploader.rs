//! The uploader: its process, its thread, and what spools say of themselves.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepline_core::spool::{self, layout, DirLock, Status};
use stepline_uploader::{Background, Settings};
use stepline_wire::TlsFiles;

use crate::error::core_error;

/// A wait that releases the interpreter comes back this often to look for signals.
pub const SIGNAL_CHECK: Duration = Duration::from_millis(100);

#[pyfunction]
fn spool_status(py: Python<'_>, path: PathBuf) -> PyResult<Option<Bound<'_, PyDict>>> {
    let status = py.detach(|| spool::status(&path));
    status.map(|status| to_dict(py, &status)).transpose()
}

#[pyfunction]
fn spool_brief(py: Python<'_>, path: PathBuf) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(brief) = spool::brief(&path) else { return Ok(None) };
    let dict = PyDict::new(py);
    dict.set_item("acked_seq", brief.acked_seq)?;
    dict.set_item("sent_seq", brief.sent_seq)?;
    dict.set_item("state", brief.state)?;
    dict.set_item("error", &brief.error)?;
    dict.set_item("bytes", brief.bytes)?;
    Ok(Some(dict))
}

#[pyfunction]
fn spool_scan(py: Python<'_>, root: PathBuf) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let found = py.detach(|| statuses(&root));
    let found = found.map_err(|err| core_error(py, err.kind().as_str(), err.to_string()))?;
    found.iter().map(|status| to_dict(py, status)).collect()
}

#[pyfunction]
fn spool_outline(py: Python<'_>, path: PathBuf) -> PyResult<(Option<i64>, u64)> {
    let found = py.detach(|| spool::outline(&path));
    let found = found.map_err(|err| core_error(py, err.kind().as_str(), err.to_string()))?;
    Ok((found.oldest_ms, found.gap_points))
}

#[pyfunction]
fn uploader_alive(root: PathBuf) -> bool {
    DirLock::held(&root.join(layout::UPLOADER_LOCK))
}

#[pyfunction]
#[pyo3(signature = (root, *, idle_exit = 2.0))]
fn uploader_main(py: Python<'_>, root: PathBuf, idle_exit: f64) -> PyResult<i32> {
    let idle_exit = seconds(py, "idle_exit", idle_exit)?;
    stepline_uploader::log_to_stderr();
    let done = py.detach(|| stepline_uploader::run_host(&root, Settings::default(), idle_exit));
    done.map(|()| 0).map_err(|err| core_error(py, "io", err.to_string()))
}

#[pyfunction]
#[pyo3(signature = (root, *, server = None, api_key = None, tls_ca = None, tls_cert = None, tls_key = None, timeout = None))]
#[allow(clippy::too_many_arguments)] // keywords in Python
fn drain(
    py: Python<'_>,
    root: PathBuf,
    server: Option<String>,
    api_key: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    timeout: Option<f64>,
) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let tls = TlsFiles { ca: tls_ca, cert: tls_cert, key: tls_key };
    let settings = Settings { server, api_key, tls, ..Settings::default() };
    run_drain(py, std::slice::from_ref(&root), settings, timeout)?;
    if root.join(layout::META_FILE).exists() {
        return spool_status(py, root).map(|left| left.into_iter().collect());
    }
    spool_scan(py, root)
}

#[pyfunction]
#[pyo3(signature = (paths, *, server = None, api_key = None, tls_ca = None, tls_cert = None, tls_key = None, timeout = None))]
#[allow(clippy::too_many_arguments)] // keywords in Python
fn drain_spools(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    server: Option<String>,
    api_key: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    timeout: Option<f64>,
) -> PyResult<Vec<Bound<'_, PyDict>>> {
    // What is gone was sent.
    let present: Vec<PathBuf> = paths.into_iter().filter(|path| path.join(layout::META_FILE).exists()).collect();
    let tls = TlsFiles { ca: tls_ca, cert: tls_cert, key: tls_key };
    let settings = Settings { server, api_key, tls, ..Settings::default() };
    run_drain(py, &present, settings, timeout)?;
    let left = py.detach(|| present.iter().filter_map(|path| spool::status(path)).collect::<Vec<_>>());
    left.iter().map(|status| to_dict(py, status)).collect()
}

fn run_drain(py: Python<'_>, paths: &[PathBuf], settings: Settings, timeout: Option<f64>) -> PyResult<()> {
    let timeout = timeout.map(|value| seconds(py, "timeout", value)).transpose()?;
    if let Some(server) = &settings.server {
        let parsed = server.parse::<stepline_wire::ServerAddress>();
        parsed.map_err(|err| core_error(py, "invalid", err.to_string()))?;
    }
    let mut interrupted = None;
    let done = py.detach(|| {
        stepline_uploader::run_drain(paths, settings, timeout, || {
            if let Err(err) = Python::attach(|py| py.check_signals()) {
                interrupted.get_or_insert(err);
            }
            interrupted.is_some()
        })
    });
    if let Some(err) = interrupted {
        return Err(err);
    }
    done.map_err(|err| core_error(py, "io", err.to_string()))
}

/// Forgotten in a forked child, where its thread does not exist.
#[pyclass(frozen)]
struct UploaderThread {
    background: Option<Background>,
    pid: u32,
}

#[pymethods]
impl UploaderThread {
    #[new]
    fn new(py: Python<'_>, spool: PathBuf) -> PyResult<Self> {
        let background = Background::start(&spool, Settings::default())
            .map_err(|err| core_error(py, "io", format!("cannot start the uploader thread: {err}")))?;
        Ok(UploaderThread { background: Some(background), pid: std::process::id() })
    }

    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(py, "timeout", timeout)?;
        let Some(background) = self.background.as_ref().filter(|_| self.pid == std::process::id()) else {
            return Ok(true);
        };
        background.stop();
        let began = Instant::now();
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            if py.detach(|| background.join(left.min(SIGNAL_CHECK))) {
                return Ok(true);
            }
            py.check_signals()?;
            if began.elapsed() >= timeout {
                return Ok(false);
            }
        }
    }
}

impl Drop for UploaderThread {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            std::mem::forget(self.background.take());
        }
    }
}

fn statuses(root: &Path) -> Result<Vec<Status>, spool::SpoolError> {
    Ok(spool::scan(root)?.iter().filter_map(|dir| spool::status(dir)).collect())
}

fn seconds(py: Python<'_>, name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        core_error(py, "invalid", format!("{name} is {value}: give a number of seconds that is not negative"))
    })
}

fn to_dict<'py>(py: Python<'py>, status: &Status) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", status.path.to_string_lossy())?;
    dict.set_item("writer", &status.writer)?;
    dict.set_item("run_id", &status.run_id)?;
    dict.set_item("project", &status.project)?;
    dict.set_item("rank", status.rank)?;
    dict.set_item("server", &status.server)?;
    dict.set_item("mode", &status.mode)?;
    dict.set_item("alive", status.alive)?;
    dict.set_item("last_seq", status.last_seq)?;
    dict.set_item("acked_seq", status.acked_seq)?;
    dict.set_item("sent_seq", status.sent_seq)?;
    dict.set_item("state", status.state)?;
    dict.set_item("error", &status.error)?;
    dict.set_item("bytes", status.bytes)?;
    dict.set_item("write", &status.write)?;
    dict.set_item("updated_ms", status.updated_ms)?;
    Ok(dict)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(spool_status, m)?)?;
    m.add_function(wrap_pyfunction!(spool_brief, m)?)?;
    m.add_function(wrap_pyfunction!(spool_scan, m)?)?;
    m.add_function(wrap_pyfunction!(spool_outline, m)?)?;
    m.add_function(wrap_pyfunction!(uploader_alive, m)?)?;
    m.add_function(wrap_pyfunction!(uploader_main, m)?)?;
    m.add_function(wrap_pyfunction!(drain, m)?)?;
    m.add_function(wrap_pyfunction!(drain_spools, m)?)?;
    m.add_class::<UploaderThread>()
}
