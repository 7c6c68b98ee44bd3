//! The reader's side of sections: first their plans, which are checked against the budget, then their columns.

use std::sync::Arc;

use super::budget::Budget;
use super::decoded::{Layout, Section, Seqs, Times};
use super::definitions::Definitions;
use super::format::{ARRAY, DENSE, SPARSE};
use super::BatchError;
use crate::codec::column::{ColumnsReader, Shape};
use crate::codec::varint::Reader;

/// What the meta stream says about a section.
#[derive(Debug)]
pub(super) enum Plan {
    Dense { keys: Arc<[u64]>, rows: usize },
    Sparse { metrics: Vec<u64>, rows: usize, starts: Vec<u32>, positions: Vec<u32> },
    Array { metric: u64, offset: u64, time_ms: i64, points: usize },
}

/// Reads all plans. Each is paid for before anything of its size is allocated.
pub(super) fn read_plans(
    meta: &mut Reader<'_>,
    definitions: &Definitions,
    budget: &mut Budget,
) -> Result<Vec<Plan>, BatchError> {
    let sections = meta.u64("the number of sections")?;
    let mut plans = Vec::new();
    for _ in 0..sections {
        budget.memory(1, std::mem::size_of::<Section>() + std::mem::size_of::<Plan>())?;
        plans.push(match meta.u8("a section")? {
            DENSE => read_dense(meta, definitions, budget)?,
            SPARSE => read_sparse(meta, definitions, budget)?,
            ARRAY => read_array(meta, definitions, budget)?,
            tag => return Err(BatchError::malformed(format_args!("a section has the unknown tag {tag}"))),
        });
    }
    Ok(plans)
}

/// Sequence, step and time of a row.
const ROW: usize = 24;

fn count(meta: &mut Reader<'_>, what: &'static str) -> Result<usize, BatchError> {
    match usize::try_from(meta.u64(what)?).unwrap_or(usize::MAX) {
        0 => Err(BatchError::malformed(format_args!("{what} is zero"))),
        n => Ok(n),
    }
}

fn read_dense(meta: &mut Reader<'_>, definitions: &Definitions, budget: &mut Budget) -> Result<Plan, BatchError> {
    let keys = definitions.keyset(meta.u64("a key set number")?)?;
    let rows = count(meta, "the number of rows")?;
    budget.memory(rows, ROW)?;
    let points = rows.saturating_mul(keys.len());
    budget.memory(points, 8)?;
    Ok(Plan::Dense { keys, rows })
}

fn read_sparse(meta: &mut Reader<'_>, definitions: &Definitions, budget: &mut Budget) -> Result<Plan, BatchError> {
    let rows = count(meta, "the number of rows")?;
    budget.memory(rows, ROW)?;
    let columns = count(meta, "the number of metrics")?;
    budget.memory(columns, 8 + 4)?;
    let (mut metrics, mut starts, mut positions) = (Vec::new(), vec![0u32], Vec::new());
    let mut number = None::<u64>;
    for _ in 0..columns {
        // Strictly ascending numbers: no metric can be there twice.
        let gap = meta.u64("a name number")?;
        let next = number.map_or(Some(gap), |last| last.checked_add(1)?.checked_add(gap));
        let next = next.ok_or_else(|| BatchError::malformed("a name number is too large"))?;
        number = Some(next);
        metrics.push(definitions.name(next)?);
        let points = count(meta, "the number of points of a metric")?;
        if points > rows {
            return Err(BatchError::malformed("a metric has more points than its section has rows"));
        }
        budget.memory(points, 8 + 4)?;
        read_positions(meta, rows, points, &mut positions)?;
        starts.push(u32::try_from(positions.len()).map_err(|_| BatchError::limit("a section is too large"))?);
    }
    Ok(Plan::Sparse { metrics, rows, starts, positions })
}

/// The rows of one metric: nothing when it has all of them, otherwise the gaps between them.
fn read_positions(meta: &mut Reader<'_>, rows: usize, points: usize, out: &mut Vec<u32>) -> Result<(), BatchError> {
    let out_of_range = || BatchError::malformed("a point belongs to a row that its section has not");
    if points == rows {
        let rows = u32::try_from(rows).map_err(|_| out_of_range())?;
        out.extend(0..rows);
        return Ok(());
    }
    let mut next = 0u64;
    for _ in 0..points {
        let row = next.saturating_add(meta.u64("the rows of a metric")?);
        if row >= rows as u64 {
            return Err(out_of_range());
        }
        out.push(u32::try_from(row).map_err(|_| out_of_range())?);
        next = row + 1;
    }
    Ok(())
}

fn read_array(meta: &mut Reader<'_>, definitions: &Definitions, budget: &mut Budget) -> Result<Plan, BatchError> {
    let metric = definitions.name(meta.u64("a name number")?)?;
    let offset = meta.u64("a sequence")?;
    let time_ms = meta.i64("a time")?;
    let points = count(meta, "the number of points")?;
    budget.memory(points, 16)?;
    Ok(Plan::Array { metric, offset, time_ms, points })
}

impl Plan {
    /// Cannot overflow in sum: the budget has paid eight bytes for each.
    pub fn points(&self) -> usize {
        match self {
            Plan::Dense { keys, rows } => rows * keys.len(),
            Plan::Sparse { positions, .. } => positions.len(),
            Plan::Array { points, .. } => *points,
        }
    }

    /// The columns of the section, in their order.
    pub fn shapes(&self) -> Vec<Shape> {
        match self {
            Plan::Dense { keys, rows } => vec![Shape { columns: 3 + keys.len(), len: *rows }],
            Plan::Sparse { rows, starts, .. } => {
                let values = starts.windows(2).map(|w| Shape { columns: 1, len: (w[1] - w[0]) as usize });
                std::iter::once(Shape { columns: 3, len: *rows }).chain(values).collect()
            }
            Plan::Array { points, .. } => vec![Shape { columns: 2, len: *points }],
        }
    }

    /// Reads the columns.
    pub fn read(self, first_seq: u64, columns: &mut ColumnsReader<'_>) -> Result<Section, BatchError> {
        match self {
            Plan::Dense { keys, rows } => {
                let (seqs, steps, times) = read_rows(first_seq, rows, columns)?;
                let mut values = vec![0.0; rows * keys.len()];
                for column in values.chunks_exact_mut(rows) {
                    columns.values(column)?;
                }
                Ok(Section { seqs, steps, times, metrics: keys, values, layout: Layout::Dense })
            }
            Plan::Sparse { metrics, rows, starts, positions } => {
                let (seqs, steps, times) = read_rows(first_seq, rows, columns)?;
                check_rows_used(rows, &positions)?;
                let mut values = vec![0.0; positions.len()];
                for range in starts.windows(2) {
                    columns.values(&mut values[range[0] as usize..range[1] as usize])?;
                }
                let layout = Layout::Sparse { starts, rows: positions };
                Ok(Section { seqs, steps, times, metrics: metrics.into(), values, layout })
            }
            Plan::Array { metric, offset, time_ms, points } => {
                let first = first_seq.checked_add(offset);
                let first = first.filter(|first| first.checked_add(points as u64).is_some());
                let first = first.ok_or_else(|| BatchError::sequence("a sequence is too large"))?;
                let steps = columns.ints(points)?;
                let mut values = vec![0.0; points];
                columns.values(&mut values)?;
                Ok(Section {
                    seqs: Seqs::From(first),
                    steps,
                    times: Times::Same(time_ms),
                    metrics: [metric].into(),
                    values,
                    layout: Layout::Dense,
                })
            }
        }
    }
}

/// The three columns of a section with rows.
fn read_rows(
    first_seq: u64,
    rows: usize,
    columns: &mut ColumnsReader<'_>,
) -> Result<(Seqs, Vec<i64>, Times), BatchError> {
    let offsets = columns.ints(rows)?;
    if offsets.windows(2).any(|w| w[0] >= w[1]) {
        return Err(BatchError::sequence("the sequences of a section do not ascend"));
    }
    let (start, end) = (offsets[0], offsets[rows - 1]);
    let seqs = if end.wrapping_sub(start) as usize == rows - 1 {
        Seqs::From(first_seq.wrapping_add(start as u64))
    } else {
        Seqs::List(offsets.iter().map(|&offset| first_seq.wrapping_add(offset as u64)).collect())
    };
    let steps = columns.ints(rows)?;
    Ok((seqs, steps, Times::List(columns.ints(rows)?)))
}

/// A row without a point would be a sequence that the store never sees.
fn check_rows_used(rows: usize, positions: &[u32]) -> Result<(), BatchError> {
    let mut used = vec![false; rows];
    for &row in positions {
        used[row as usize] = true;
    }
    if used.contains(&false) {
        return Err(BatchError::sequence("a row of a sparse section has no point"));
    }
    Ok(())
}
