//! Contexts and console lines, as dicts.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use stepline_wire::v1;

pub(super) fn part<'py>(py: Python<'py>, part: &v1::ContextPart) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("attempt", part.attempt)?;
    dict.set_item("rank", part.rank)?;
    dict.set_item("part", &part.part)?;
    dict.set_item("content_json", &part.content_json)?;
    Ok(dict)
}

pub(super) fn console<'py>(py: Python<'py>, reply: &v1::ReadConsoleReply) -> PyResult<Bound<'py, PyDict>> {
    let lines = reply.lines.iter().map(|it| line(py, it)).collect::<PyResult<Vec<_>>>()?;
    let dict = PyDict::new(py);
    dict.set_item("lines", lines)?;
    dict.set_item("cursor", PyBytes::new(py, &reply.cursor))?;
    dict.set_item("more", reply.more)?;
    dict.set_item("attempt", reply.attempt)?;
    Ok(dict)
}

fn line<'py>(py: Python<'py>, line: &v1::ConsoleLine) -> PyResult<Bound<'py, PyDict>> {
    let stream = match line.stream() {
        v1::ConsoleStream::Err => "err",
        v1::ConsoleStream::Note => "note",
        v1::ConsoleStream::Out | v1::ConsoleStream::Unspecified => "out",
    };
    let dict = PyDict::new(py);
    dict.set_item("writer", PyBytes::new(py, &line.writer))?;
    dict.set_item("line", line.line)?;
    dict.set_item("stream", stream)?;
    dict.set_item("time_ms", line.time_ms)?;
    dict.set_item("text", &line.text)?;
    dict.set_item("open", line.open)?;
    Ok(dict)
}
