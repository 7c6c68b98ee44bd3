//! The end of a spool, found without reading all of it.

use std::path::Path;

use super::continuity::Continuity;
use super::cursor::Cursor;
use super::error::SpoolError;
use super::layout;
use crate::id::WriterId;

/// The highest sequence and the highest ordinal that can be read; zeros when there is none.
pub(super) fn last(dir: &Path, writer: WriterId) -> Result<(u64, u64), SpoolError> {
    for index in layout::segments(dir)?.into_iter().rev() {
        match walk(dir, index, writer) {
            Ok(found) => return Ok(found),
            // A segment whose header is damaged holds nothing that can be read; one that is gone was stored.
            Err(e) if e.is_corrupt() || e.is_not_found() => {}
            Err(e) => return Err(e),
        }
    }
    Ok((0, 0))
}

fn walk(dir: &Path, index: u32, writer: WriterId) -> Result<(u64, u64), SpoolError> {
    let (mut cursor, header) = Cursor::open(&dir.join(layout::segment_name(index)), index, writer)?;
    let mut continuity = Continuity::default();
    continuity.enter(header.first_seq, header.first_control);
    loop {
        match cursor.advance() {
            Ok(Some(body)) => {
                if cursor.record(&body).and_then(|record| continuity.accept(&record)).is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(e) if e.is_corrupt() => break,
            Err(e) => return Err(e),
        }
    }
    let (seq, control) = continuity.next().unwrap_or((1, 1));
    Ok((seq.saturating_sub(1), control.saturating_sub(1)))
}
