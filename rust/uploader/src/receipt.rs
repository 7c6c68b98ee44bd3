//! What was in the segments that are acknowledged and deleted, as checksums: so that `stepline verify` can still compare them.
//!
//! One small file a writer, `ROOT/receipts/<writer>.json`; layout and lifetime: docs/spool.md. It is made from the spool itself, not from
//! what was sent. A hint like every side file: without it verify counts.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{json, Value};
use stepline_core::digest::{self, Digest, Span};
use stepline_core::spool::{layout, SpoolMeta};

/// More are joined two by two, which their sums allow.
const MAX_RANGES: usize = 64;
/// How long a receipt is kept after its last change.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The newest of them, however many were written since.
const MOST: usize = 10_000;

/// Of the sequences from `first` to `last`, all of which are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: u64,
    last: u64,
    digest: Digest,
}

#[derive(Debug)]
pub(crate) struct Receipt {
    path: PathBuf,
    parts: Vec<Part>,
    failed: bool,
}

impl Receipt {
    /// That of the spool at `dir`, begun by an earlier drainer or not.
    pub fn open(dir: &Path) -> Receipt {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let path = dir.with_file_name(layout::RECEIPTS).join(format!("{name}.json"));
        let parts = fs::read(&path).ok().and_then(|text| read(&text)).unwrap_or_default();
        Receipt { path, parts, failed: false }
    }

    /// Adds what lies in the spool at `dir` from sequence `first` on, up to `last`. To be called before it is deleted.
    pub fn add(&mut self, dir: &Path, meta: &SpoolMeta, first: u64, last: u64) {
        let first = self.parts.last().map_or(first, |part| first.max(part.last + 1));
        if first > last {
            return;
        }
        let whole = Span { first, last, width: last - first + 1 };
        let Ok(found) = digest::digests(dir, whole, false) else { return };
        // What is damaged or was dropped is not compared: the service is told of it, and counts.
        match found.ranges.get(&0) {
            Some(digest) if digest.sequences == whole.width => self.parts.push(Part { first, last, digest: *digest }),
            _ => return,
        }
        if self.parts.len() > MAX_RANGES {
            self.parts = self.parts.chunks(2).flat_map(joined).collect();
            let excess = self.parts.len().saturating_sub(MAX_RANGES);
            self.parts.drain(..excess);
        }
        if let Err(err) = self.write(meta) {
            if !self.failed {
                log::warn!(
                    "cannot write {}: {err}; `stepline verify` can only count what is deleted",
                    self.path.display()
                );
            }
            self.failed = true;
        }
    }

    fn write(&self, meta: &SpoolMeta) -> io::Result<()> {
        let ranges = self.parts.iter().map(|part| {
            let Digest { points, sequences, sum } = part.digest;
            json!([part.first, part.last, points, sequences, sum])
        });
        let text = json!({
            "version": 1, "writer": meta.writer, "run_id": meta.run_id, "project": meta.project, "rank": meta.rank,
            "server": meta.server, "ranges": ranges.collect::<Vec<_>>(),
        });
        let dir = self.path.parent().unwrap_or(Path::new("."));
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
            _ => {}
        }
        let temporary = self.path.with_extension("new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.to_string().as_bytes())?;
        fs::rename(&temporary, &self.path)
    }
}

/// Deletes the receipts under `root` that are old, or too many.
pub(crate) fn expire(root: &Path) {
    expire_at(root, SystemTime::now(), MOST);
}

fn expire_at(root: &Path, now: SystemTime, most: usize) {
    let entries = fs::read_dir(root.join(layout::RECEIPTS)).into_iter().flatten().flatten();
    let changed = |entry: &fs::DirEntry| entry.metadata().and_then(|metadata| metadata.modified()).ok();
    let mut found: Vec<_> = entries.filter_map(|entry| Some((changed(&entry)?, entry.path()))).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    for (at, (changed, path)) in found.into_iter().enumerate() {
        if at >= most || now.duration_since(changed).is_ok_and(|age| age > KEPT) {
            // Best effort: it is looked at again by the next uploader.
            let _ = fs::remove_file(path);
        }
    }
}

/// None when it is not a receipt: then it is begun anew.
fn read(text: &[u8]) -> Option<Vec<Part>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let parts = value.get("ranges")?.as_array()?.iter().map(|range| {
        let number = |at: usize| range.get(at)?.as_u64();
        let digest = Digest { points: number(2)?, sequences: number(3)?, sum: number(4)? };
        Some(Part { first: number(0)?, last: number(1)?, digest })
    });
    parts.collect::<Option<Vec<_>>>().filter(|parts| parts.windows(2).all(|pair| pair[0].last < pair[1].first))
}

fn joined(pair: &[Part]) -> Vec<Part> {
    match pair {
        [a, b] if a.last + 1 == b.first => {
            let digest = Digest {
                points: a.digest.points + b.digest.points,
                sequences: a.digest.sequences + b.digest.sequences,
                sum: a.digest.sum.wrapping_add(b.digest.sum),
            };
            vec![Part { first: a.first, last: b.last, digest }]
        }
        other => other.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepline_core::spool::{SpoolReader, SpoolWriter, WriterOptions};

    fn writer(root: &Path) -> SpoolWriter {
        let options = WriterOptions { segment_bytes: 4096, ..WriterOptions::default() };
        SpoolWriter::create(root, SpoolMeta { run_id: "r".into(), ..SpoolMeta::default() }, options).unwrap()
    }

    fn log(writer: &mut SpoolWriter, calls: std::ops::Range<i64>) {
        let ids = [writer.name_id("a").unwrap(), writer.name_id("b").unwrap()];
        for step in calls {
            writer.append_sparse(&ids, step, step, &[step as f64, 0.5]).unwrap();
        }
    }

    #[test]
    fn many_parts_are_joined_and_add_up_to_the_whole() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = writer(root.path());
        log(&mut writer, 0..1_000);
        let (dir, meta) = (writer.dir().to_owned(), SpoolReader::open(writer.dir()).unwrap().meta().clone());
        let mut receipt = Receipt::open(&dir);
        for last in (5..=1_000).step_by(5) {
            receipt.add(&dir, &meta, 1, last);
            assert!(receipt.parts.len() <= MAX_RANGES);
        }
        // Another drainer goes on where this one ended, and adds nothing twice.
        let mut again = Receipt::open(&dir);
        assert_eq!(again.parts, receipt.parts);
        again.add(&dir, &meta, 1, 1_000);
        assert_eq!(again.parts, receipt.parts);
        let whole = digest::digests(&dir, Span { first: 1, last: 1_000, width: 1_000 }, false).unwrap().ranges[&0];
        let all = receipt.parts.iter().fold(Digest::default(), |all, part| Digest {
            points: all.points + part.digest.points,
            sequences: all.sequences + part.digest.sequences,
            sum: all.sum.wrapping_add(part.digest.sum),
        });
        assert_eq!(all, whole);
        assert_eq!((receipt.parts[0].first, receipt.parts.last().unwrap().last), (1, 1_000));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = writer(root.path());
        log(&mut writer, 0..1_000);
        let (dir, meta) = (writer.dir().to_owned(), SpoolReader::open(writer.dir()).unwrap().meta().clone());
        fs::remove_file(dir.join("00000002.seg")).unwrap();
        let mut receipt = Receipt::open(&dir);
        receipt.add(&dir, &meta, 1, 1_000);
        assert_eq!(receipt.parts, []);
    }

    #[test]
    fn damage_is_no_receipt() {
        for text in ["", "{}", "[]", r#"{"ranges":[[1,2,3]]}"#, r#"{"ranges":[[5,9,1,5,1],[1,4,1,4,1]]}"#] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn old_ones_and_too_many_are_deleted() {
        let root = tempfile::tempdir().unwrap();
        expire(root.path());
        let dir = root.path().join(layout::RECEIPTS);
        fs::create_dir(&dir).unwrap();
        for name in 0..5 {
            fs::write(dir.join(format!("{name}.json")), "{}").unwrap();
        }
        let left = || fs::read_dir(&dir).unwrap().count();
        expire(root.path());
        assert_eq!(left(), 5);
        expire_at(root.path(), SystemTime::now(), 3);
        assert_eq!(left(), 3);
        expire_at(root.path(), SystemTime::now() + 2 * KEPT, 3);
        assert_eq!(left(), 0);
    }
}
