//! Why a value was not recorded.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// What is wrong, in a way that a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Metrics,
    Step,
    Name,
    Duplicate,
    Depth,
    Type,
    Array,
    Range,
    Failed,
    Waiting,
}

impl Kind {
    fn is_type_error(self) -> bool {
        matches!(self, Kind::Metrics | Kind::Step | Kind::Type | Kind::Array)
    }
}

/// What is wrong with a value and what to do about it.
#[derive(Clone, Debug)]
pub struct Problem {
    pub kind: Kind,
    pub what: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(kind: Kind, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { kind, what: what.into(), remedy: remedy.into() }
    }
}

/// A problem and the metric that has it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// As it is shown; empty for the call as a whole.
    pub metric: String,
    pub problem: Problem,
}

impl Refusal {
    pub fn new(metric: impl Into<String>, problem: Problem) -> Refusal {
        Refusal { metric: metric.into(), problem }
    }

    pub fn of_call(problem: Problem) -> Refusal {
        Refusal::new("", problem)
    }

    pub fn one_name_too_many(name: String) -> Refusal {
        let what = "is one name too many: a run has at most 1000000 metrics";
        let problem = Problem::new(Kind::Name, what, "keep steps and other counters out of names");
        Refusal::new(format!("{name:?}"), problem)
    }

    /// Values that a device did not deliver.
    pub fn undelivered(name: &str, why: impl std::fmt::Display) -> Refusal {
        let what = format!("could not be fetched from its device: {why}");
        Refusal::new(format!("'{name}'"), Problem::new(Kind::Failed, what, "log a number of the host"))
    }

    pub fn no_room_for(name: &str, most: usize) -> Refusal {
        let what = format!("would be one of more than {most} values that wait for their device");
        let remedy = "log fewer device tensors, or call run.flush() now and then";
        Refusal::new(format!("'{name}'"), Problem::new(Kind::Waiting, what, remedy))
    }

    pub fn message(&self) -> String {
        let Problem { what, remedy, .. } = &self.problem;
        if self.metric.is_empty() {
            format!("{what}; {remedy}")
        } else {
            format!("metric {} {what}; {remedy}", self.metric)
        }
    }

    pub fn into_error(self) -> PyErr {
        if self.problem.kind.is_type_error() {
            PyTypeError::new_err(self.message())
        } else {
            PyValueError::new_err(self.message())
        }
    }
}
