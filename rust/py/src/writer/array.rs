//! `log_array()`: many points of one metric.

use pyo3::prelude::*;

use super::buffer::{Column, Element, NoColumn};
use super::flatten;
use super::number::type_name;
use super::refusal::{Kind, Problem, Refusal};
use super::shown;
use super::state::{Appended, Shared};

/// Points copied at a time: what is written was read once, whatever happens to the buffer.
const PIECE: usize = 64 << 10;

pub struct Columns<'py> {
    steps: Column<'py, i64>,
    values: Column<'py, f64>,
}

/// The name and the columns of a call.
pub fn read<'a, 'py>(
    name: &'a Bound<'py, PyAny>,
    steps: &Bound<'py, PyAny>,
    values: &Bound<'py, PyAny>,
) -> Result<(&'a str, Columns<'py>), Refusal> {
    let refuse = |problem| Refusal::new(shown(name), problem);
    let text = flatten::name(name).map_err(refuse)?;
    let steps = column::<i64>(steps, "steps", "int64").map_err(refuse)?;
    let values = column::<f64>(values, "values", "float64").map_err(refuse)?;
    if steps.rows() != values.rows() {
        let what = format!("has {} steps and {} values", steps.rows(), values.rows());
        return Err(refuse(Problem::new(Kind::Array, what, "pass one step for each value")));
    }
    Ok((text, Columns { steps, values }))
}

fn column<'py, T: Element>(object: &Bound<'py, PyAny>, what: &str, dtype: &str) -> Result<Column<'py, T>, Problem> {
    let asarray = format!("pass np.asarray({what}, dtype=np.{dtype})");
    Column::of(object).map_err(|why| match why {
        NoColumn::NoBuffer => {
            Problem::new(Kind::Array, format!("has {what} that are no buffer but a {}", type_name(object)), asarray)
        }
        NoColumn::Dimensions(n) => {
            Problem::new(Kind::Array, format!("has {what} of {n} dimensions, not one"), format!("{asarray}.ravel()"))
        }
        NoColumn::Format(format) => {
            Problem::new(Kind::Array, format!("has {what} of the format {format:?}, not {dtype}"), asarray)
        }
    })
}

/// Appends the points from `from` on, and says how many were taken. They have contiguous sequences: no other thread runs between the
/// pieces.
pub fn append(shared: &Shared, name: &str, columns: &Columns<'_>, from: usize) -> (usize, Appended) {
    let (mut steps, mut values) = (Vec::new(), Vec::new());
    let rows = columns.values.rows();
    let (mut taken, mut done) = (0, Appended::default());
    for start in (from..rows).step_by(PIECE) {
        let end = rows.min(start + PIECE);
        columns.steps.copy(start..end, &mut steps);
        columns.values.copy(start..end, &mut values);
        let (piece, count) = shared.with(|state| {
            let before = state.last_seq();
            let piece = state.log_array(name, &steps, &values, (rows - end) as u64);
            (piece, state.last_seq() - before)
        });
        taken += usize::try_from(count).unwrap_or(usize::MAX);
        done.due |= piece.due;
        done.tick |= piece.tick;
        done.error = piece.error;
        if done.error.is_some() {
            break;
        }
    }
    (taken, done)
}
