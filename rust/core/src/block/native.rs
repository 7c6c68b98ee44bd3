//! ClickHouse's Native format, revision 0: number of columns, number of rows, then for each column its name, its type and its
//! elements, little-endian, one after the other.

use std::io::{self, Write};

use super::schema::{Column, Field};
use super::series::Series;
use super::track::Track;
use crate::codec::varint::put_u64;

/// What stands before the elements of a column; before the first column also what begins the block.
pub(super) fn head(columns: &[Column], index: usize, rows: usize) -> Vec<u8> {
    let mut head = Vec::new();
    if index == 0 {
        put_u64(&mut head, columns.len() as u64);
        put_u64(&mut head, rows as u64);
    }
    for text in [columns[index].name, columns[index].kind] {
        put_u64(&mut head, text.len() as u64);
        head.extend_from_slice(text.as_bytes());
    }
    head
}

/// The rows whose elements are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub tracks: &'a [Track<'a>],
    pub series: &'a [Series],
    pub received: u32,
}

impl<'a> Rows<'a> {
    fn track(&self, series: &Series) -> &'a Track<'a> {
        &self.tracks[series.track as usize]
    }

    /// Writes the elements of one column.
    pub fn write(&self, field: Field, out: &mut impl Write) -> io::Result<()> {
        match field {
            Field::Run => self.repeat(|track, _| track.key.run.to_le_bytes(), out),
            Field::Metric => self.repeat(|_, series| series.metric.to_le_bytes(), out),
            Field::Rank => self.repeat(|track, _| track.key.rank.to_le_bytes(), out),
            Field::Attempt => self.repeat(|track, _| track.key.attempt.to_le_bytes(), out),
            Field::Writer => self.repeat(|track, _| number(track.key.writer.0), out),
            Field::Received => self.repeat(|_, _| self.received.to_le_bytes(), out),
            Field::Step => self.gather(|track| &track.steps, out),
            Field::Time => self.gather(|track| &track.times, out),
            Field::Seq => self.gather(|track| &track.seqs, out),
            Field::Value => self.series.iter().try_for_each(|series| {
                let mut parts = self.track(series).values_of(series.column as usize);
                parts.try_for_each(|values| out.write_all(bytemuck::cast_slice(values)))
            }),
        }
    }

    /// An element that is the same in all rows of a series. Neighbours with the same element are written together.
    fn repeat<const N: usize>(
        &self,
        element: impl Fn(&Track<'_>, &Series) -> [u8; N],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (mut current, mut rows) = ([0; N], 0);
        for series in self.series {
            let track = self.track(series);
            let next = element(track, series);
            if next != current {
                fill(current, rows, out)?;
                (current, rows) = (next, 0);
            }
            rows += track.len_of(series.column as usize);
        }
        fill(current, rows, out)
    }

    /// Elements of which the track has one a row.
    fn gather<T: bytemuck::Pod>(
        &self,
        elements: impl Fn(&'a Track<'a>) -> &'a [T],
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.series.iter().try_for_each(|series| {
            let track = self.track(series);
            let elements = elements(track);
            match track.rows_of(series.column as usize) {
                None => out.write_all(bytemuck::cast_slice(elements)),
                Some(mut rows) => rows.try_for_each(|row| out.write_all(bytemuck::bytes_of(&elements[row]))),
            }
        })
    }
}

/// The number whose hexadecimal digits are those of the id, so that writers sort by their start.
fn number(id: [u8; 16]) -> [u8; 16] {
    u128::from_be_bytes(id).to_le_bytes()
}

fn fill<const N: usize>(element: [u8; N], rows: usize, out: &mut impl Write) -> io::Result<()> {
    const BUFFER: usize = 64;
    if rows < BUFFER {
        return (0..rows).try_for_each(|_| out.write_all(&element));
    }
    let buffer = [element; BUFFER];
    let mut left = rows;
    while left > 0 {
        let n = left.min(BUFFER);
        out.write_all(buffer[..n].as_flattened())?;
        left -= n;
    }
    Ok(())
}
