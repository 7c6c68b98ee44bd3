//! What a look at a few records of a spool tells: how old the oldest one is that waits, and what found no room on the disk.

use std::path::Path;

use super::cursor::Cursor;
use super::error::SpoolError;
use super::layout;
use super::meta::SpoolMeta;
use super::reader::SpoolReader;
use super::state::StateFile;
use crate::id::WriterId;
use crate::record::Record;

/// Of one spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// When the oldest record was logged that is not acknowledged; None when all are, or none can be read.
    pub oldest_ms: Option<i64>,
    /// Points that found no room, as far as the gap records that are still there say.
    pub gap_points: u64,
}

/// Reads the segment in which the first waiting record lies, and those with control records.
pub fn outline(dir: &Path) -> Result<Outline, SpoolError> {
    let writer = SpoolMeta::load(dir)?.writer_id()?;
    Ok(Outline { oldest_ms: oldest(dir)?, gap_points: gap_points(dir, writer)? })
}

fn oldest(dir: &Path) -> Result<Option<i64>, SpoolError> {
    let mut reader = SpoolReader::open(dir)?;
    let acked = StateFile::peek(dir).unwrap_or_default().acked_seq;
    reader.seek(acked, u64::MAX)?;
    loop {
        match reader.next() {
            Ok(Some(Record::Row { time_ms, .. } | Record::Sparse { time_ms, .. } | Record::Array { time_ms, .. })) => {
                return Ok(Some(time_ms))
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(e) if e.is_corrupt() => {}
            Err(e) => return Err(e),
        }
    }
}

fn gap_points(dir: &Path, writer: WriterId) -> Result<u64, SpoolError> {
    let mut points = 0;
    // The segment before, and how many control records there were when it began.
    let mut open: Option<(u32, u64)> = None;
    for index in layout::segments(dir)? {
        let Ok((_, header)) = Cursor::open(&dir.join(layout::segment_name(index)), index, writer) else { continue };
        if let Some((before, controls)) = open.replace((index, header.first_control)) {
            if controls != header.first_control {
                points += gaps_of(dir, before, writer);
            }
        }
    }
    Ok(points + open.map_or(0, |(last, _)| gaps_of(dir, last, writer)))
}

/// Up to the first damage.
fn gaps_of(dir: &Path, index: u32, writer: WriterId) -> u64 {
    let Ok((mut cursor, _)) = Cursor::open(&dir.join(layout::segment_name(index)), index, writer) else { return 0 };
    let mut points = 0;
    while let Ok(Some(body)) = cursor.advance() {
        let Ok(record) = cursor.record(&body) else { break };
        if let Record::Control { json, .. } = record {
            points += counted(json);
        }
    }
    points
}

/// The points of a gap record; 0 for every other record.
fn counted(json: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    value["gap"]["count"].as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{SpoolWriter, WriterOptions};

    #[test]
    fn the_oldest_record_and_all_gaps_are_found() {
        let root = tempfile::tempdir().unwrap();
        let options = WriterOptions { segment_bytes: 4096, ..WriterOptions::default() };
        let mut writer = SpoolWriter::create(root.path(), SpoolMeta::default(), options).unwrap();
        let dir = writer.dir().to_owned();
        assert_eq!(outline(&dir).unwrap(), Outline::default());
        let name = writer.name_id("a").unwrap();
        for step in 0..300 {
            writer.append_sparse(&[name], step, 1_000 + step, &[0.0]).unwrap();
            if step % 100 == 50 {
                writer.append_control(0, r#"{"gap": {"count": 7}}"#).unwrap();
                writer.append_control(0, r#"{"update": {"name": "n"}}"#).unwrap();
            }
        }
        assert_eq!(outline(&dir).unwrap(), Outline { oldest_ms: Some(1_000), gap_points: 21 });
    }
}
