//! What an audit says, as dicts.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepline_wire::v1;

pub(super) fn event(py: Python<'_>, event: v1::DoctorEvent) -> PyResult<Bound<'_, PyDict>> {
    use v1::doctor_event::Kind;
    let dict = PyDict::new(py);
    match event.kind {
        Some(Kind::Step(step)) => {
            dict.set_item("what", step.what)?;
            dict.set_item("done", step.done)?;
            dict.set_item("total", step.total)?;
        }
        Some(Kind::Finding(finding)) => {
            dict.set_item("kind", finding.kind)?;
            dict.set_item("message", finding.message)?;
            dict.set_item("remedy", finding.remedy)?;
            dict.set_item("run", finding.run_id)?;
            dict.set_item("attempt", finding.attempt)?;
            dict.set_item("rank", finding.rank)?;
            dict.set_item("writer", finding.writer)?;
            dict.set_item("first_seq", finding.first_seq)?;
            dict.set_item("last_seq", finding.last_seq)?;
        }
        Some(Kind::Report(report)) => {
            dict.set_item("points", report.points)?;
            dict.set_item("runs", report.runs)?;
            dict.set_item("writers", report.writers)?;
            dict.set_item("rejected", report.rejected)?;
            dict.set_item("expired", report.expired)?;
        }
        // Of a kind that a later version of the protocol has.
        None => {}
    }
    Ok(dict)
}
