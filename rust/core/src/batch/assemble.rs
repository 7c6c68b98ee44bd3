//! What waits becomes the bytes of one batch.

use super::dictionary::Dictionary;
use super::format::{ARRAY, DENSE, FLAGS, HEADER, SPARSE, VERSION};
use super::pending::{DenseRows, Pending, Rows, SparseRows};
use super::BatchError;
use crate::codec::column::ColumnsWriter;
use crate::codec::stream;
use crate::codec::varint::{put_i64, put_u64};

/// Upper bounds of what things take when nothing compresses. A stream is never larger than its bytes and three more, a column never
/// larger than eight bytes an element and its descriptor.
pub(super) mod bound {
    /// Header, envelope, the tags of the streams.
    pub const BATCH: usize = 256;
    /// Tag and counts of a section, and its three columns of integers.
    pub const SECTION: usize = 96;
    /// Descriptor and head of a column, and the slope that it may have.
    pub const COLUMN: usize = 24;
    /// A name in a key set.
    pub const KEY: usize = 4;
    /// Sequence, step and time of a row.
    pub const ROW: usize = 24;
    /// A point with a column of its own.
    pub const SPARSE_POINT: usize = COLUMN + 20;
    /// Step and value.
    pub const ARRAY_POINT: usize = 16;
}

/// Columns that are turned from row-major to column-major at a time: two cache lines of a row.
const TILE: usize = 16;

pub(super) fn assemble(
    pending: &Pending,
    dictionary: &mut Dictionary,
    columns: &mut ColumnsWriter,
) -> Result<Vec<u8>, BatchError> {
    let mut sections = Vec::new();
    let dense: Vec<&DenseRows> = pending.dense.iter().filter(|section| section.rows.len() > 0).collect();
    let sparse = usize::from(pending.sparse.rows.len() > 0);
    put_u64(&mut sections, (dense.len() + sparse + pending.arrays.len()) as u64);
    for section in dense {
        sections.push(DENSE);
        put_u64(&mut sections, u64::from(dictionary.keyset_number(section.keyset)?));
        put_u64(&mut sections, section.rows.len() as u64);
        push_rows(&section.rows, pending.first_seq, columns);
        push_matrix(section, columns);
    }
    if sparse > 0 {
        put_sparse(&pending.sparse, pending.first_seq, dictionary, &mut sections, columns)?;
    }
    for array in &pending.arrays {
        sections.push(ARRAY);
        put_u64(&mut sections, u64::from(dictionary.name_number(array.name)?));
        put_u64(&mut sections, array.first_seq - pending.first_seq);
        put_i64(&mut sections, array.time_ms);
        put_u64(&mut sections, array.values.len() as u64);
        columns.push_ints(array.steps.iter().copied());
        columns.push_values(&array.values);
    }
    let (mut meta, mut streams) = (Vec::new(), Vec::with_capacity(pending.points * 4));
    dictionary.write_new(&mut meta)?;
    meta.append(&mut sections);
    columns.finish(&mut meta, &mut streams);
    Ok(frame(pending, &meta, &streams))
}

fn frame(pending: &Pending, meta: &[u8], streams: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(meta.len() + streams.len() + 64);
    bytes.extend_from_slice(&[VERSION, FLAGS, 0, 0, 0, 0]);
    put_u64(&mut bytes, pending.first_seq);
    put_u64(&mut bytes, pending.last_seq - pending.first_seq);
    put_u64(&mut bytes, pending.points as u64);
    put_u64(&mut bytes, meta.len() as u64);
    stream::put_text(meta, &mut bytes);
    bytes.extend_from_slice(streams);
    let checksum = crc32c::crc32c(&bytes[HEADER..]).to_le_bytes();
    bytes[2..HEADER].copy_from_slice(&checksum);
    bytes
}

fn push_rows(rows: &Rows, first_seq: u64, columns: &mut ColumnsWriter) {
    columns.push_ints(rows.seqs.iter().map(|seq| (seq - first_seq) as i64));
    columns.push_ints(rows.steps.iter().copied());
    columns.push_ints(rows.times.iter().copied());
}

/// Pushes the columns of a row-major matrix.
fn push_matrix(section: &DenseRows, columns: &mut ColumnsWriter) {
    let (rows, width) = (section.rows.len(), section.width);
    let mut tile = vec![0.0; TILE * rows];
    for start in (0..width).step_by(TILE) {
        let keys = TILE.min(width - start);
        for (r, row) in section.values.chunks_exact(width).enumerate() {
            for (k, value) in row[start..start + keys].iter().enumerate() {
                tile[k * rows + r] = *value;
            }
        }
        for column in tile.chunks_exact(rows).take(keys) {
            columns.push_values(column);
        }
    }
}

fn put_sparse(
    sparse: &SparseRows,
    first_seq: u64,
    dictionary: &mut Dictionary,
    meta: &mut Vec<u8>,
    columns: &mut ColumnsWriter,
) -> Result<(), BatchError> {
    // (number of the name, row, value) of every point, sorted: the columns, rows ascending in each.
    let mut points = Vec::with_capacity(sparse.values.len());
    let mut at = 0;
    for (row, &len) in sparse.lens.iter().enumerate() {
        for i in at..at + len as usize {
            points.push((dictionary.name_number(sparse.names[i])?, row as u32, sparse.values[i]));
        }
        at += len as usize;
    }
    points.sort_unstable_by_key(|&(number, row, _)| (number, row));
    let rows = sparse.rows.len();
    let series = || points.chunk_by(|a, b| a.0 == b.0);
    meta.push(SPARSE);
    put_u64(meta, rows as u64);
    put_u64(meta, series().count() as u64);
    push_rows(&sparse.rows, first_seq, columns);
    let mut values = Vec::new();
    let mut next_number = 0;
    for points in series() {
        let number = points[0].0;
        put_u64(meta, u64::from(number - next_number));
        next_number = number + 1;
        put_u64(meta, points.len() as u64);
        if points.len() < rows {
            let mut next_row = 0;
            for &(_, row, _) in points {
                put_u64(meta, u64::from(row - next_row));
                next_row = row + 1;
            }
        }
        values.clear();
        values.extend(points.iter().map(|&(_, _, value)| value));
        columns.push_values(&values);
    }
    Ok(())
}
