//! Messages as dicts with the field names of the .proto files.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use stepline_wire::v1;

pub fn run<'py>(py: Python<'py>, run: &v1::Run) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("run_id", &run.run_id)?;
    dict.set_item("project", &run.project)?;
    dict.set_item("name", &run.name)?;
    dict.set_item("state", &run.state)?;
    dict.set_item("config_json", &run.config_json)?;
    dict.set_item("summary_json", &run.summary_json)?;
    dict.set_item("tags", &run.tags)?;
    dict.set_item("group", &run.group)?;
    dict.set_item("job_type", &run.job_type)?;
    dict.set_item("notes", &run.notes)?;
    dict.set_item("attempts", run.attempts)?;
    dict.set_item("world_size", run.world_size)?;
    dict.set_item("created_ms", run.created_ms)?;
    dict.set_item("updated_ms", run.updated_ms)?;
    dict.set_item("exit_code", run.exit_code)?;
    dict.set_item("columns_json", &run.columns_json)?;
    dict.set_item("fork_run_id", &run.fork_run_id)?;
    dict.set_item("fork_step", run.fork_step)?;
    dict.set_item("error_type", &run.error_type)?;
    dict.set_item("error_message", &run.error_message)?;
    Ok(dict)
}

pub fn key<'py>(py: Python<'py>, key: &v1::Key) -> PyResult<Bound<'py, PyDict>> {
    let scope = match key.scope() {
        v1::KeyScope::Ingest => "ingest",
        v1::KeyScope::Read => "read",
        v1::KeyScope::Admin => "admin",
        v1::KeyScope::Unspecified => "",
    };
    let dict = PyDict::new(py);
    dict.set_item("id", &key.id)?;
    dict.set_item("scope", scope)?;
    dict.set_item("project", &key.project)?;
    dict.set_item("name", &key.name)?;
    dict.set_item("created_ms", key.created_ms)?;
    dict.set_item("expires_ms", key.expires_ms)?;
    dict.set_item("revoked_ms", key.revoked_ms)?;
    Ok(dict)
}

pub fn metric<'py>(py: Python<'py>, metric: &v1::Metric) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &metric.name)?;
    dict.set_item("count", metric.count)?;
    dict.set_item("ranks", metric.ranks)?;
    dict.set_item("first_step", metric.first_step)?;
    dict.set_item("last_step", metric.last_step)?;
    dict.set_item("last_value", metric.last_value)?;
    dict.set_item("min", metric.min)?;
    dict.set_item("max", metric.max)?;
    dict.set_item("nonfinite", metric.nonfinite)?;
    dict.set_item("mean", metric.mean)?;
    dict.set_item("first_value", metric.first_value)?;
    dict.set_item("min_step", metric.min_step)?;
    dict.set_item("max_step", metric.max_step)?;
    dict.set_item("runs", metric.runs)?;
    let said = metric.definition.clone().unwrap_or_default();
    let definition = PyDict::new(py);
    for (name, text) in [("x", said.x), ("goal", said.goal), ("unit", said.unit), ("summary", said.summary)] {
        definition.set_item(name, text)?;
    }
    definition.set_item("hidden", said.hidden)?;
    dict.set_item("definition", definition)?;
    Ok(dict)
}

pub fn chart_line<'py>(py: Python<'py>, line: &v1::ChartLine) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("run_id", &line.run_id)?;
    dict.set_item("metric", &line.metric)?;
    dict.set_item("rank", line.rank)?;
    dict.set_item("attempt", line.attempt)?;
    dict.set_item("bucket_width", line.bucket_width)?;
    dict.set_item("tier_width", line.tier_width)?;
    dict.set_item("rows", line.rows)?;
    dict.set_item("defined_x", &line.defined_x)?;
    let columns = [
        ("x", &line.x),
        ("min", &line.min),
        ("max", &line.max),
        ("mean", &line.mean),
        ("first", &line.first),
        ("last", &line.last),
        ("argmin", &line.argmin),
        ("argmax", &line.argmax),
        ("count", &line.count),
        ("nonfinite", &line.nonfinite),
        ("at", &line.at),
        ("argnonfinite", &line.argnonfinite),
        ("smooth", &line.smooth),
        ("group_runs", &line.group_runs),
        ("widths", &line.widths),
    ];
    for (name, column) in columns {
        dict.set_item(name, PyBytes::new(py, column))?;
    }
    let quantiles: Vec<_> = line.quantiles.iter().map(|column| PyBytes::new(py, column)).collect();
    dict.set_item("quantiles", quantiles)?;
    dict.set_item("group", &line.group)?;
    dict.set_item("group_run_ids", &line.group_run_ids)?;
    dict.set_item("deviation", line.deviation)?;
    Ok(dict)
}

pub fn watch_update<'py>(py: Python<'py>, update: &v1::WatchUpdate) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let mut lines = Vec::with_capacity(update.lines.len());
    for changed in &update.lines {
        let line = changed.line.as_ref().map(|line| chart_line(py, line)).transpose()?;
        lines.push((changed.chart, line, changed.whole, changed.gone));
    }
    dict.set_item("lines", lines)?;
    dict.set_item("runs", update.runs.iter().map(|one| run(py, one)).collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("more", update.more)?;
    dict.set_item("reset", update.reset)?;
    Ok(dict)
}

pub fn writer_digests<'py>(py: Python<'py>, reply: &v1::WriterDigestsReply) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("attempt", reply.attempt)?;
    dict.set_item("rank", reply.rank)?;
    dict.set_item("committed_seq", reply.committed_seq)?;
    let digests = reply.digests.iter();
    let digests: Vec<_> = digests.map(|d| (d.first_seq, d.metric, d.points, d.sequences, d.sum)).collect();
    dict.set_item("digests", digests)?;
    let rejected = reply.rejected.iter();
    let rejected: Vec<_> = rejected.map(|r| (r.first_seq, r.last_seq, r.reason.as_str())).collect();
    dict.set_item("rejected", rejected)?;
    let expired: Vec<_> = reply.expired.iter().map(|range| (range.first_seq, range.last_seq)).collect();
    dict.set_item("expired", expired)?;
    Ok(dict)
}

pub fn month<'py>(py: Python<'py>, month: &v1::Month) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("month", month.month)?;
    dict.set_item("points", month.points)?;
    dict.set_item("bytes", month.bytes)?;
    dict.set_item("kept_bytes", month.kept_bytes)?;
    dict.set_item("state", &month.state)?;
    dict.set_item("expires_ms", month.expires_ms)?;
    Ok(dict)
}
