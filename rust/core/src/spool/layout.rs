//! The names of the files of a spool.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::SpoolError;
use crate::id::WriterId;

pub const META_FILE: &str = "spool.json";
/// Held by the writing process for its life.
pub const WRITER_LOCK: &str = "writer.lock";
/// Held by whoever drains the spool.
pub const DRAIN_LOCK: &str = "drain.lock";
pub const STATE_FILE: &str = "state";
/// There when the writer closed the spool.
pub const SEALED_FILE: &str = "sealed";
/// There when the writer deleted segments because the spool was at its limit.
pub const DROPPED_FILE: &str = "dropped";
/// In the root: held by the one uploader process of a host and root.
pub const UPLOADER_LOCK: &str = "uploader.lock";

/// In the root: what was in spools that are stored and deleted.
pub const RECEIPTS: &str = "receipts";

/// `00000001.seg`
pub(super) fn segment_name(index: u32) -> String {
    format!("{index:08}.seg")
}

/// Under which a segment is made: nobody looks at it.
pub(super) fn temporary_name(index: u32) -> String {
    format!(".{}.new", segment_name(index))
}

fn segment_index(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// Bytes of all segments in `dir`, also of one that is being made.
pub(super) fn segment_bytes(dir: &Path) -> u64 {
    let is_segment = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let made = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new"));
        segment_index(made.unwrap_or(name)).is_some()
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(is_segment).filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The indices of the segments in `dir`, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<u32>, SpoolError> {
    let failed = |e| SpoolError::io("list", dir, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        if let Some(index) = entry.map_err(failed)?.file_name().to_str().and_then(segment_index) {
            found.push(index);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The spools under `root`, oldest writer first. A root that is not there holds none.
pub fn scan(root: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let failed = |e| SpoolError::io("list", root, e);
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(|name| WriterId::from_hex(name).is_some()) {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Writes the file `sealed`: what the last sequence and ordinal are, so that a lost tail can be seen. The contents are a hint, the
/// file itself is the message.
pub(super) fn seal(dir: &Path, last_seq: u64, last_control: u64, disk: &dyn Disk) -> Result<(), SpoolError> {
    let path = dir.join(SEALED_FILE);
    let file = disk.create(&path).map_err(|e| SpoolError::io("create", &path, e))?;
    // On a full disk the file stays empty.
    let _ = disk.write_at(&file, format!("{last_seq} {last_control}\n").as_bytes(), 0);
    Ok(())
}

/// What `sealed` says; None when the spool is not sealed or the file is empty.
pub(super) fn sealed_at(dir: &Path) -> Option<(u64, u64)> {
    pair(&dir.join(SEALED_FILE))
}

/// Writes the file `dropped`: the sequence and the ordinal up to which the writer has deleted what was not sent. It comes before the
/// deletion, so that a reader that misses something knows why.
pub(super) fn note_dropped(dir: &Path, seq: u64, control: u64, disk: &dyn Disk) -> Result<(), SpoolError> {
    let (path, temporary) = (dir.join(DROPPED_FILE), dir.join(".dropped.new"));
    let failed = |e| SpoolError::io("write", &path, e);
    let file = disk.create(&temporary).map_err(failed)?;
    disk.write_at(&file, format!("{seq} {control}\n").as_bytes(), 0).map_err(failed)?;
    disk.rename(&temporary, &path).map_err(failed)
}

/// Up to which sequence and ordinal the writer has dropped what was not sent; zeros when it never did.
pub(super) fn dropped_up_to(dir: &Path) -> (u64, u64) {
    pair(&dir.join(DROPPED_FILE)).unwrap_or_default()
}

fn pair(path: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let (seq, control) = text.strip_suffix('\n')?.split_once(' ')?;
    Some((seq.parse().ok()?, control.parse().ok()?))
}
