//! What runs show, and how their attempts fare, as dicts with the field names of the .proto files.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepline_wire::v1;

pub(super) fn reply<'py>(py: Python<'py>, reply: &v1::GetLineageReply) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("segments", segments(py, &reply.segments)?)?;
    let attempts = reply.attempts.iter().map(|it| attempt(py, it)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("attempts", attempts)?;
    Ok(dict)
}

pub(super) fn segments<'py>(py: Python<'py>, segments: &[v1::Segment]) -> PyResult<Vec<Bound<'py, PyDict>>> {
    segments
        .iter()
        .map(|segment| {
            let dict = PyDict::new(py);
            dict.set_item("run_id", &segment.run_id)?;
            dict.set_item("attempt", segment.attempt)?;
            dict.set_item("first_step", segment.first_step)?;
            dict.set_item("last_step", segment.last_step)?;
            Ok(dict)
        })
        .collect()
}

fn attempt<'py>(py: Python<'py>, attempt: &v1::Attempt) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("attempt", attempt.attempt)?;
    dict.set_item("state", &attempt.state)?;
    dict.set_item("launch_id", &attempt.launch_id)?;
    dict.set_item("world_size", attempt.world_size)?;
    dict.set_item("created_ms", attempt.created_ms)?;
    dict.set_item("ended_ms", attempt.ended_ms)?;
    dict.set_item("exit_code", attempt.exit_code)?;
    dict.set_item("error_type", &attempt.error_type)?;
    dict.set_item("error_message", &attempt.error_message)?;
    dict.set_item("host", &attempt.host)?;
    dict.set_item("pid", attempt.pid)?;
    dict.set_item("begin_step", attempt.begin_step)?;
    dict.set_item("seen_ms", attempt.seen_ms)?;
    dict.set_item("living", attempt.living)?;
    let troubled = attempt.troubled.iter().map(|it| rank(py, it)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("troubled", troubled)?;
    dict.set_item("troubled_ranks", attempt.troubled_ranks)?;
    Ok(dict)
}

fn rank<'py>(py: Python<'py>, rank: &v1::Rank) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("rank", rank.rank)?;
    dict.set_item("state", &rank.state)?;
    dict.set_item("seen_ms", rank.seen_ms)?;
    dict.set_item("exit_code", rank.exit_code)?;
    dict.set_item("error_type", &rank.error_type)?;
    dict.set_item("error_message", &rank.error_message)?;
    Ok(dict)
}
