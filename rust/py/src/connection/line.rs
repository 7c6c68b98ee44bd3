//! One connection with the runtime that moves it. It moves only during a call, on the thread of the caller: no thread stays behind.

use std::future::Future;
use std::time::Duration;

use pyo3::prelude::*;
use stepline_wire::{Failure, Link, TlsFiles};
use tokio::runtime::{Builder, Runtime};

use crate::error::{core_error, rpc_error};
use crate::uploader::SIGNAL_CHECK;

pub struct Line {
    parts: Option<(Link, Runtime)>,
    pid: u32,
    /// A call went through, so the connection may have died of age since.
    pub used: bool,
}

impl Line {
    pub fn new(py: Python<'_>, server: &str, api_key: Option<&str>, tls: &TlsFiles) -> PyResult<Line> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            // The look-up of a host name is the only work of another thread.
            .thread_keep_alive(Duration::from_millis(1))
            .build()
            .map_err(|err| core_error(py, "io", format!("cannot start a connection: {err}")))?;
        let link = {
            let _inside = runtime.enter();
            Link::new(server, api_key, tls).map_err(|err| core_error(py, "invalid", err.to_string()))?
        };
        Ok(Line { parts: Some((link, runtime)), pid: std::process::id(), used: false })
    }

    /// Made in this process, not before a fork of it.
    pub fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Waits for what `call` makes of the connection, without the interpreter, and looks for signals now and then.
    pub fn wait<T, F>(&self, py: Python<'_>, call: impl FnOnce(Link) -> F) -> PyResult<Result<T, Failure>>
    where
        T: Send,
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let Some((link, runtime)) = &self.parts else {
            return Err(core_error(py, "closed", "the connection is closed: make a new one"));
        };
        let mut future = Box::pin(call(link.clone()));
        loop {
            let step =
                py.detach(|| runtime.block_on(async { tokio::time::timeout(SIGNAL_CHECK, future.as_mut()).await }));
            match step {
                Ok(result) => return Ok(result),
                Err(_) => py.check_signals()?,
            }
        }
    }
}

/// In a forked child the connection and its poller are shared with the parent; closing them here would disturb it.
impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.parts.take());
        }
    }
}

pub fn to_error(py: Python<'_>, server: &str, failure: &Failure) -> PyErr {
    if failure.is_unreachable() {
        return core_error(py, "unreachable", failure.message());
    }
    let kind = if failure.is_retryable() { "internal" } else { "refused" };
    let message =
        if failure.message().is_empty() { format!("{server} gave no reason") } else { failure.message().to_owned() };
    rpc_error(py, kind, failure.code_name(), &message)
}
