//! Many decoded batches as one block for the database, in ClickHouse's Native format.
//!
//! - [`schema`]: the columns, in one table.
//! - `track`: rows that many series share.
//! - `series`: the series, in the order of the table's key.
//! - `native`: the bytes.
//!
//! Nothing is compared or converted point by point: series are sorted, and columns are copied out.

mod native;
pub mod schema;
mod series;
mod track;

use std::io::{self, Write};

use crate::batch::DecodedBatch;
use crate::id::WriterId;
use series::Series;
use track::Track;

/// Whose points a batch holds: the columns that are the same in all its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriterKey {
    pub run: u64,
    pub attempt: u32,
    pub rank: u32,
    pub writer: WriterId,
}

/// A block, to be written piece after piece.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub pieces: Vec<Vec<u8>>,
    pub rows: usize,
}

/// A block whose rows are chosen and ordered but not written: the caller gives the memory.
#[derive(Debug)]
pub struct Plan<'a> {
    tracks: Vec<Track<'a>>,
    series: Vec<Series>,
    rows: usize,
    received: u32,
}

impl<'a> Plan<'a> {
    /// All points whose sequence is above the number beside each batch. `received` in seconds since the epoch.
    pub fn new(batches: &[(&'a WriterKey, &'a DecodedBatch, u64)], received: u32) -> Self {
        let tracks = track::collect(batches);
        let series = series::sort(&tracks);
        let rows = series.iter().map(|s| tracks[s.track as usize].len_of(s.column as usize)).sum();
        Plan { tracks, series, rows, received }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One piece a column; none when there are no rows.
    pub fn pieces(&self) -> usize {
        if self.rows == 0 {
            0
        } else {
            schema::COLUMNS.len()
        }
    }

    /// Bytes of a piece.
    pub fn piece_len(&self, piece: usize) -> usize {
        let head = native::head(&schema::COLUMNS, piece, self.rows).len();
        head + self.rows * schema::COLUMNS[piece].field.bytes()
    }

    /// Writes exactly `piece_len` bytes.
    pub fn write_piece(&self, piece: usize, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&native::head(&schema::COLUMNS, piece, self.rows))?;
        let rows = native::Rows { tracks: &self.tracks, series: &self.series, received: self.received };
        rows.write(schema::COLUMNS[piece].field, out)
    }
}

/// One block of all points whose sequence is above the number beside each batch. `received` in seconds since the epoch.
pub fn build(batches: &[(&WriterKey, &DecodedBatch, u64)], received: u32) -> Block {
    let plan = Plan::new(batches, received);
    let pieces = (0..plan.pieces()).filter_map(|piece| {
        let mut bytes = Vec::with_capacity(plan.piece_len(piece));
        // Writing to a vector cannot fail.
        plan.write_piece(piece, &mut bytes).ok().map(|()| bytes)
    });
    Block { pieces: pieces.collect(), rows: plan.rows }
}
