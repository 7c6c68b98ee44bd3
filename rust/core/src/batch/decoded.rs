//! A decoded batch: still columns, about eight bytes a point.

use std::sync::Arc;

/// The points of one batch.
#[derive(Clone, Debug, Default)]
pub struct DecodedBatch {
    pub first_seq: u64,
    pub last_seq: u64,
    pub points: usize,
    /// (siphash64(name), name) of the names that this batch brought to its stream.
    pub new_metrics: Vec<(u64, Arc<str>)>,
    pub(crate) sections: Vec<Section>,
}

/// One point, for those who want them singly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub metric: u64,
    pub seq: u64,
    pub step: i64,
    pub time_ms: i64,
    pub value: f64,
}

impl DecodedBatch {
    /// Memory held, in bytes. Key sets are shared with the stream and count only there.
    pub fn nbytes(&self) -> usize {
        let names: usize = self.new_metrics.iter().map(|(_, name)| name.len() + 32).sum();
        names + self.sections.iter().map(Section::nbytes).sum::<usize>() + std::mem::size_of::<Self>()
    }

    /// Every point: series by series, and in the order of logging within a series of a section.
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.sections.iter().flat_map(|section| {
            (0..section.columns()).flat_map(move |c| {
                let column = section.column(c);
                (0..column.values.len()).map(move |i| {
                    let row = column.row(i);
                    Point {
                        metric: column.metric,
                        seq: section.seqs.at(row),
                        step: section.steps[row],
                        time_ms: section.times.at(row),
                        value: column.values[i],
                    }
                })
            })
        })
    }
}

/// Rows that share their step, time and sequence over several metrics. Rows are in the order of their sequences.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub seqs: Seqs,
    pub steps: Vec<i64>,
    pub times: Times,
    pub metrics: Arc<[u64]>,
    /// The columns of the metrics, one after the other.
    pub values: Vec<f64>,
    pub layout: Layout,
}

/// The sequences of the rows.
#[derive(Clone, Debug)]
pub(crate) enum Seqs {
    /// Consecutive ones from here.
    From(u64),
    /// Strictly ascending.
    List(Vec<u64>),
}

/// The times of the rows, in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub(crate) enum Times {
    Same(i64),
    List(Vec<i64>),
}

/// Which rows a column has.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// All of them.
    Dense,
    /// Column c has the values `starts[c]..starts[c + 1]`, and value i belongs to row `rows[i]`, ascending within a column.
    Sparse { starts: Vec<u32>, rows: Vec<u32> },
}

/// One series within a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    pub metric: u64,
    pub values: &'a [f64],
    /// The row of each value; None when value i belongs to row i.
    pub rows: Option<&'a [u32]>,
}

impl Column<'_> {
    pub fn row(&self, i: usize) -> usize {
        self.rows.map_or(i, |rows| rows[i] as usize)
    }
}

impl Section {
    pub fn rows(&self) -> usize {
        self.steps.len()
    }

    pub fn columns(&self) -> usize {
        self.metrics.len()
    }

    pub fn is_dense(&self) -> bool {
        matches!(self.layout, Layout::Dense)
    }

    pub fn column(&self, c: usize) -> Column<'_> {
        let metric = self.metrics[c];
        match &self.layout {
            Layout::Dense => {
                let n = self.rows();
                Column { metric, values: &self.values[c * n..(c + 1) * n], rows: None }
            }
            Layout::Sparse { starts, rows } => {
                let range = starts[c] as usize..starts[c + 1] as usize;
                Column { metric, values: &self.values[range.clone()], rows: Some(&rows[range]) }
            }
        }
    }

    fn nbytes(&self) -> usize {
        let seqs = match &self.seqs {
            Seqs::From(_) => 0,
            Seqs::List(seqs) => seqs.len(),
        };
        let times = match &self.times {
            Times::Same(_) => 0,
            Times::List(times) => times.len(),
        };
        let layout = match &self.layout {
            Layout::Dense => 0,
            Layout::Sparse { starts, rows } => 4 * (starts.len() + rows.len()) + 8 * self.metrics.len(),
        };
        8 * (seqs + times + self.steps.len() + self.values.len()) + layout + std::mem::size_of::<Self>()
    }
}

impl Seqs {
    pub fn at(&self, row: usize) -> u64 {
        match self {
            Seqs::From(first) => first + row as u64,
            Seqs::List(seqs) => seqs[row],
        }
    }

    /// The first of `rows` rows whose sequence is above `after`.
    pub fn first_after(&self, after: u64, rows: usize) -> usize {
        match self {
            Seqs::From(first) if *first > after => 0,
            Seqs::From(first) => usize::try_from(after - first).map_or(rows, |n| n.saturating_add(1).min(rows)),
            Seqs::List(seqs) => seqs.partition_point(|&seq| seq <= after),
        }
    }
}

impl Times {
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Times::Same(time) => *time,
            Times::List(times) => times[row],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_after_a_sequence() {
        for seqs in [Seqs::From(5), Seqs::List(vec![5, 6, 7, 8])] {
            let got: Vec<usize> = [0, 4, 5, 7, 8, 9, u64::MAX].map(|after| seqs.first_after(after, 4)).into();
            assert_eq!(got, [0, 0, 1, 3, 4, 4, 4]);
        }
    }
}
