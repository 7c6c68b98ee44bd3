//! Lists of runs, metrics, projects and keys: requests from dicts, replies as dicts.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepline_wire::v1;

use super::chart::get;
use super::dicts;

/// The fields of ListRunsRequest; those that are missing or None keep their default.
pub(super) fn runs_request(fields: &Bound<'_, PyDict>) -> PyResult<v1::ListRunsRequest> {
    Ok(v1::ListRunsRequest {
        project: get(fields, "project")?.unwrap_or_default(),
        limit: get(fields, "limit")?.unwrap_or_default(),
        offset: get(fields, "offset")?.unwrap_or_default(),
        filter: get(fields, "filter")?.unwrap_or_default(),
        sort: get(fields, "sort")?.unwrap_or_default(),
        columns: get(fields, "columns")?.unwrap_or_default(),
        group_by: get(fields, "group_by")?.unwrap_or_default(),
    })
}

pub(super) fn runs_reply<'py>(py: Python<'py>, reply: &v1::ListRunsReply) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let runs = reply.runs.iter().map(|run| dicts::run(py, run)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("runs", runs)?;
    dict.set_item("total", reply.total)?;
    let groups = reply.groups.iter().map(|group| {
        let dict = PyDict::new(py);
        dict.set_item("values_json", &group.values_json)?;
        dict.set_item("count", group.count)?;
        dict.set_item("filter", &group.filter)?;
        Ok(dict)
    });
    dict.set_item("groups", groups.collect::<PyResult<Vec<_>>>()?)?;
    Ok(dict)
}

/// The fields of ListMetricsRequest; those that are missing or None keep their default.
pub(super) fn metrics_request(fields: &Bound<'_, PyDict>) -> PyResult<v1::ListMetricsRequest> {
    Ok(v1::ListMetricsRequest {
        run_id: get(fields, "run_id")?.unwrap_or_default(),
        prefix: get(fields, "prefix")?.unwrap_or_default(),
        pattern: get(fields, "pattern")?.unwrap_or_default(),
        regex: get(fields, "regex")?.unwrap_or_default(),
        limit: get(fields, "limit")?.unwrap_or_default(),
        offset: get(fields, "offset")?.unwrap_or_default(),
        run_ids: get(fields, "run_ids")?.unwrap_or_default(),
        names_only: get(fields, "names_only")?.unwrap_or_default(),
        hidden: get(fields, "hidden")?.unwrap_or_default(),
        grouped: get(fields, "grouped")?.unwrap_or_default(),
    })
}

pub(super) fn metrics_reply<'py>(py: Python<'py>, reply: &v1::ListMetricsReply) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let metrics = reply.metrics.iter().map(|metric| dicts::metric(py, metric)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("metrics", metrics)?;
    dict.set_item("total", reply.total)?;
    let groups: Vec<_> = reply.groups.iter().map(|group| (group.prefix.as_str(), group.count)).collect();
    dict.set_item("groups", groups)?;
    Ok(dict)
}

pub(super) fn project<'py>(py: Python<'py>, project: &v1::Project) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &project.name)?;
    dict.set_item("runs", project.runs)?;
    dict.set_item("running", project.running)?;
    dict.set_item("created_ms", project.created_ms)?;
    dict.set_item("updated_ms", project.updated_ms)?;
    Ok(dict)
}

pub(super) fn keys_request(fields: &Bound<'_, PyDict>) -> PyResult<v1::ListRunKeysRequest> {
    Ok(v1::ListRunKeysRequest {
        project: get(fields, "project")?.unwrap_or_default(),
        prefix: get(fields, "prefix")?.unwrap_or_default(),
        search: get(fields, "search")?.unwrap_or_default(),
        limit: get(fields, "limit")?.unwrap_or_default(),
        offset: get(fields, "offset")?.unwrap_or_default(),
    })
}

pub(super) fn key<'py>(py: Python<'py>, key: &v1::RunKey) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("key", &key.key)?;
    dict.set_item("runs", key.runs)?;
    dict.set_item("numbers", key.numbers)?;
    dict.set_item("texts", key.texts)?;
    dict.set_item("flags", key.flags)?;
    dict.set_item("lists", key.lists)?;
    dict.set_item("min", key.min)?;
    dict.set_item("max", key.max)?;
    dict.set_item("live", key.live)?;
    Ok(dict)
}

pub(super) fn change<'py>(py: Python<'py>, change: &v1::ConfigChange) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("time_ms", change.time_ms)?;
    dict.set_item("attempt", change.attempt)?;
    dict.set_item("who", &change.who)?;
    dict.set_item("key", &change.key)?;
    dict.set_item("before_json", &change.before_json)?;
    dict.set_item("after_json", &change.after_json)?;
    Ok(dict)
}
