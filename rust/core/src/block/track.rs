//! What one writer logged with one key set, over all batches of the block: rows that many series share.
//!
//! Sections of the same key set follow each other batch after batch, often with a row or two in each. Joined, their steps, times and
//! sequences are put together once and then copied whole for each metric.

use std::collections::HashMap;

use super::WriterKey;
use crate::batch::{DecodedBatch, Section};

/// Joined dense sections of one writer and one list of metrics, or one sparse section.
#[derive(Debug)]
pub(super) struct Track<'a> {
    pub key: &'a WriterKey,
    pub metrics: &'a [u64],
    pub parts: Vec<Part<'a>>,
    /// Sequence, step and time of the rows of all parts.
    pub seqs: Vec<u64>,
    pub steps: Vec<i64>,
    pub times: Vec<i64>,
}

/// The rows of a section that are not stored yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub section: &'a Section,
    pub first_row: usize,
}

impl<'a> Track<'a> {
    fn new(key: &'a WriterKey, section: &'a Section) -> Self {
        let (parts, seqs, steps, times) = Default::default();
        Track { key, metrics: &section.metrics, parts, seqs, steps, times }
    }

    fn push(&mut self, section: &'a Section, first_row: usize) {
        self.parts.push(Part { section, first_row });
        let rows = first_row..section.rows();
        self.seqs.extend(rows.clone().map(|row| section.seqs.at(row)));
        self.steps.extend_from_slice(&section.steps[first_row..]);
        self.times.extend(rows.map(|row| section.times.at(row)));
    }

    /// For each value of a column, the row of the track; None when the column has all rows.
    pub fn rows_of(&self, column: usize) -> Option<impl ExactSizeIterator<Item = usize> + '_> {
        let part = self.parts.first()?;
        let rows = part.section.column(column).rows?;
        let start = rows.partition_point(|&row| (row as usize) < part.first_row);
        Some(rows[start..].iter().map(|&row| row as usize - part.first_row))
    }

    /// The number of values of a column.
    pub fn len_of(&self, column: usize) -> usize {
        self.rows_of(column).map_or(self.steps.len(), |rows| rows.len())
    }

    /// The values of a column, part after part.
    pub fn values_of(&self, column: usize) -> impl Iterator<Item = &'a [f64]> + '_ {
        self.parts.iter().map(move |part| {
            let column = part.section.column(column);
            let start = match column.rows {
                None => part.first_row,
                Some(rows) => rows.partition_point(|&row| (row as usize) < part.first_row),
            };
            &column.values[start..]
        })
    }

    fn first_step(&self) -> i64 {
        self.steps.first().copied().unwrap_or(0)
    }
}

/// The tracks of all batches, sorted by (run, rank, attempt, first step) and otherwise as they came.
pub(super) fn collect<'a>(batches: &[(&'a WriterKey, &'a DecodedBatch, u64)]) -> Vec<Track<'a>> {
    let mut tracks: Vec<Track<'a>> = Vec::new();
    let mut joined: HashMap<(&WriterKey, Metrics), usize> = HashMap::new();
    for &(key, batch, after_seq) in batches {
        for section in &batch.sections {
            let first_row = section.seqs.first_after(after_seq, section.rows());
            if first_row == section.rows() {
                continue;
            }
            let track = if section.is_dense() {
                *joined.entry((key, Metrics::of(section))).or_insert(tracks.len())
            } else {
                tracks.len()
            };
            if track == tracks.len() {
                tracks.push(Track::new(key, section));
            }
            tracks[track].push(section, first_row);
        }
    }
    tracks.sort_by_key(|track| (track.key.run, track.key.rank, track.key.attempt, track.first_step()));
    tracks
}

/// Tells lists of metrics apart: the one metric, or where the list lies, which is the same for all sections of a stream that use one
/// key set.
#[derive(PartialEq, Eq, Hash)]
enum Metrics {
    One(u64),
    List(usize),
}

impl Metrics {
    fn of(section: &Section) -> Self {
        match *section.metrics {
            [metric] => Metrics::One(metric),
            _ => Metrics::List(section.metrics.as_ptr() as usize),
        }
    }
}
