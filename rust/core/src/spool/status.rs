//! What can be said of a spool from the outside, by anyone, without disturbing who writes or drains it.

use std::path::{Path, PathBuf};

use super::error::SpoolError;
use super::layout;
use super::lock::DirLock;
use super::meta::SpoolMeta;
use super::reader::SpoolReader;
use super::state::{Phase, StateFile};
use super::tail;
use crate::record::Record;

/// The fields of `SpoolStatus` in the Python stub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub path: PathBuf,
    pub writer: String,
    pub run_id: String,
    pub project: String,
    pub rank: u32,
    pub server: String,
    /// online | offline
    pub mode: String,
    /// mapped | buffered; empty when an older version wrote the spool
    pub write: String,
    /// The process that writes it lives and has not closed it.
    pub alive: bool,
    /// Highest sequence in the spool.
    pub last_seq: u64,
    pub last_control: u64,
    /// What the service has stored, as far as is known here.
    pub acked_seq: u64,
    pub acked_control: u64,
    /// What was sent to it at least once.
    pub sent_seq: u64,
    /// waiting | connecting | streaming | unreachable | refused | done
    pub state: &'static str,
    pub error: String,
    /// Bytes of all segment files, also of one that is made ahead.
    pub bytes: u64,
    /// When the drainer last wrote its state; 0 when it never did.
    pub updated_ms: i64,
}

/// Of one spool directory; None when it is gone, which means that everything was stored.
pub fn status(dir: &Path) -> Option<Status> {
    let meta = match SpoolMeta::load(dir) {
        Ok(meta) => meta,
        Err(e) if e.is_not_found() => return None,
        Err(e) => return Some(unreadable(dir, &e.to_string())),
    };
    let alive = DirLock::held(&dir.join(layout::WRITER_LOCK)) && !dir.join(layout::SEALED_FILE).exists();
    let known = StateFile::peek(dir).unwrap_or_default();
    let last = meta.writer_id().and_then(|writer| tail::last(dir, writer));
    let ((last_seq, last_control), trouble) = match last {
        Ok(last) => (last, None),
        // Removed while we looked.
        Err(e) if e.is_not_found() => return None,
        Err(e) => ((0, 0), Some(e.to_string())),
    };
    Some(Status {
        path: dir.to_owned(),
        writer: meta.writer,
        run_id: meta.run_id,
        project: meta.project,
        rank: meta.rank,
        server: meta.server,
        mode: meta.mode,
        write: meta.write,
        alive,
        // Released segments are stored ones.
        last_seq: last_seq.max(known.acked_seq),
        last_control: last_control.max(known.acked_control),
        acked_seq: known.acked_seq,
        acked_control: known.acked_control,
        sent_seq: known.sent_seq,
        state: known.phase.as_str(),
        error: trouble.unwrap_or(known.error),
        bytes: layout::segment_bytes(dir),
        updated_ms: known.updated_ms,
    })
}

/// What the drainer of a spool says, without a look at the records: cheap however much waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    pub acked_seq: u64,
    pub sent_seq: u64,
    pub state: &'static str,
    pub error: String,
    /// Bytes of all segment files, also of one that is made ahead.
    pub bytes: u64,
}

/// Of one spool directory; None when it is gone, which means that everything was stored.
pub fn brief(dir: &Path) -> Option<Brief> {
    if !dir.join(layout::META_FILE).exists() {
        return None;
    }
    let known = StateFile::peek(dir).unwrap_or_default();
    Some(Brief {
        acked_seq: known.acked_seq,
        sent_seq: known.sent_seq,
        state: known.phase.as_str(),
        error: known.error,
        bytes: layout::segment_bytes(dir),
    })
}

/// How many points of the spool are not acknowledged yet, as far as is known here; 0 when it is gone. Reads them all.
pub fn points_left(dir: &Path) -> Result<u64, SpoolError> {
    match count_left(dir) {
        Err(e) if e.is_not_found() => Ok(0),
        other => other,
    }
}

fn count_left(dir: &Path) -> Result<u64, SpoolError> {
    let mut reader = SpoolReader::open(dir)?;
    let acked = StateFile::peek(dir).unwrap_or_default().acked_seq;
    reader.seek(acked, u64::MAX)?;
    let mut left = 0;
    loop {
        match reader.next() {
            Ok(Some(Record::Row { values, .. } | Record::Sparse { values, .. })) => left += values.len() as u64,
            Ok(Some(Record::Array { seq, values, .. })) => {
                left += (values.len() as u64).saturating_sub(acked.saturating_sub(seq.saturating_sub(1)))
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(left),
            // What is damaged cannot be sent and is not left.
            Err(e) if e.is_corrupt() => {}
            Err(e) => return Err(e),
        }
    }
}

/// A spool whose description cannot be read is still there to be seen.
fn unreadable(dir: &Path, error: &str) -> Status {
    Status {
        path: dir.to_owned(),
        writer: dir.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned(),
        run_id: String::new(),
        project: String::new(),
        rank: 0,
        server: String::new(),
        mode: String::new(),
        write: String::new(),
        alive: DirLock::held(&dir.join(layout::WRITER_LOCK)),
        last_seq: 0,
        last_control: 0,
        acked_seq: 0,
        acked_control: 0,
        sent_seq: 0,
        state: Phase::Refused.as_str(),
        error: error.to_owned(),
        bytes: layout::segment_bytes(dir),
        updated_ms: 0,
    }
}
