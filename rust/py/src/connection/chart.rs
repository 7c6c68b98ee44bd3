//! Requests of charts, from dicts.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use stepline_wire::v1;

use crate::error::core_error;

/// The fields of ChartRequest. Those that are missing or None keep their default; `ranks` is "band", "all", a number, or
/// ("stragglers", N); `smoothing` is ("ema" | "ema_over_x" | "gaussian", its parameter).
pub(super) fn request(fields: &Bound<'_, PyDict>) -> PyResult<v1::ChartRequest> {
    Ok(v1::ChartRequest {
        run_ids: get(fields, "run_ids")?.unwrap_or_default(),
        metrics: get(fields, "metrics")?.unwrap_or_default(),
        points: get(fields, "points")?.unwrap_or_default(),
        x: get(fields, "x")?.unwrap_or_default(),
        start: get(fields, "start")?,
        stop: get(fields, "stop")?,
        ranks: match fields.get_item("ranks")? {
            Some(ranks) if !ranks.is_none() => Some(v1::RankSelection { kind: Some(ranks_of(&ranks)?) }),
            _ => None,
        },
        common_grid: get(fields, "common_grid")?.unwrap_or_default(),
        columns: get(fields, "columns")?.unwrap_or_default(),
        smoothing: match get::<(String, f64)>(fields, "smoothing")? {
            Some((kind, value)) => Some(v1::Smoothing { kind: Some(smoothing_of(fields.py(), &kind, value)?) }),
            None => None,
        },
        quantiles: get(fields, "quantiles")?.unwrap_or_default(),
        group_by: get(fields, "group_by")?.unwrap_or_default(),
        log_x: get(fields, "log_x")?.unwrap_or_default(),
        all_attempts: get(fields, "all_attempts")?.unwrap_or_default(),
        at_start: get(fields, "at_start")?,
        at_stop: get(fields, "at_stop")?,
        together: false,
    })
}

/// One chart of a WatchRequest: the same fields, and `patterns`.
pub(super) fn watched(fields: &Bound<'_, PyDict>) -> PyResult<v1::WatchedChart> {
    Ok(v1::WatchedChart { chart: Some(request(fields)?), patterns: get(fields, "patterns")?.unwrap_or_default() })
}

pub(super) fn get<'py, T>(fields: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    match fields.get_item(name)? {
        Some(value) if !value.is_none() => Ok(Some(value.extract()?)),
        _ => Ok(None),
    }
}

fn ranks_of(ranks: &Bound<'_, PyAny>) -> PyResult<v1::rank_selection::Kind> {
    use v1::rank_selection::Kind;
    if let Ok(word) = ranks.cast::<PyString>() {
        return match word.to_str()? {
            "band" => Ok(Kind::Band(true)),
            "all" => Ok(Kind::All(true)),
            other => Err(core_error(
                ranks.py(),
                "invalid",
                format!("ranks is {other:?}: give \"band\", \"all\", \"stragglers\" or a number"),
            )),
        };
    }
    if let Ok((_, count)) = ranks.extract::<(String, u32)>() {
        return Ok(Kind::Stragglers(count));
    }
    Ok(Kind::Rank(ranks.extract()?))
}

fn smoothing_of(py: Python<'_>, kind: &str, value: f64) -> PyResult<v1::smoothing::Kind> {
    use v1::smoothing::Kind;
    match kind {
        "ema" => Ok(Kind::Ema(value)),
        "ema_over_x" => Ok(Kind::EmaOverX(value)),
        "gaussian" => Ok(Kind::Gaussian(value)),
        other => Err(core_error(
            py,
            "invalid",
            format!("smoothing is {other:?}: give \"ema\", \"ema_over_x\" or \"gaussian\""),
        )),
    }
}
