//! Scenario: somebody deletes or moves a spool under the running process. Guarantees: the process goes on; the spool is made anew with
//! the segment that the process still has; people are told; the same sequences are never given to other points.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use stepline_core::spool::{Disk, RealDisk, SpoolReader, SpoolWriter, WriteMode, WriterOptions};
use tempfile::TempDir;

use crate::support::{log, meta, options, read_all};

fn spool(write: WriteMode) -> (TempDir, SpoolWriter) {
    let root = tempfile::tempdir().unwrap();
    let options = WriterOptions { write, ..options(16 << 10) };
    let writer = SpoolWriter::create(&root.path().join("a/b"), meta(), options).unwrap();
    (root, writer)
}

fn rows(writer: &mut SpoolWriter, steps: std::ops::Range<i64>) {
    for step in steps {
        log(writer, step, &[("a", step as f64)]).unwrap();
    }
}

#[test]
fn a_spool_that_was_deleted_is_made_anew() {
    for write in [WriteMode::Mapped, WriteMode::Buffered] {
        for what in ["root", "spool", "segment", "moved"] {
            let (root, mut writer) = spool(write);
            rows(&mut writer, 0..1_000);
            let dir = writer.dir().to_owned();
            let before = read_all(&dir).contents;
            match what {
                "root" => fs::remove_dir_all(root.path().join("a")).unwrap(),
                "spool" => fs::remove_dir_all(&dir).unwrap(),
                "segment" => fs::remove_file(crate::support::segments(&dir).pop().unwrap()).unwrap(),
                _ => fs::rename(&dir, root.path().join("elsewhere")).unwrap(),
            }
            rows(&mut writer, 1_000..1_010);
            writer.tend().unwrap();
            let notice = writer.take_notice().unwrap();
            assert!(notice.contains("deleted") && notice.contains(dir.to_str().unwrap()), "{notice}");
            rows(&mut writer, 1_010..3_000);
            writer.sync().unwrap();
            assert!(SpoolReader::open(&dir).unwrap().writer_alive(), "{what}");
            writer.seal().unwrap();

            let found = read_all(&dir);
            assert!(found.errors.is_empty() || what == "segment", "{what}: {:?}", found.errors);
            let points = found.contents.points;
            assert_eq!(points.last().unwrap().seq, 3_000, "{what}");
            assert!(points.iter().all(|p| f64::from_bits(p.bits) == (p.seq - 1) as f64), "{what}");
            let first = points[0].seq;
            assert!(first == 1 || what != "segment", "the older segments are still there");
            assert!(first <= 1_000, "{what}: the segment that was written when it happened is there");
            assert!(!before.points.is_empty() && points.len() as u64 == 3_001 - first, "{what} {write:?}");
        }
    }
}

#[test]
fn a_spool_that_is_left_in_peace_is_not_touched() {
    let (_root, mut writer) = spool(WriteMode::Mapped);
    rows(&mut writer, 0..10);
    writer.tend().unwrap();
    assert_eq!(writer.take_notice(), None);
}

/// No new file for anybody, as on a file system that became read-only.
#[derive(Debug, Default)]
struct ReadOnly(AtomicBool);

impl Disk for ReadOnly {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.allow()?;
        RealDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<fs::File> {
        self.allow()?;
        RealDisk.create(path)
    }
}

impl ReadOnly {
    fn allow(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
        }
        Ok(())
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_with_a_remedy_and_later_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(ReadOnly::default());
    let options = WriterOptions {
        segment_bytes: 4096,
        retry_pause: Duration::ZERO,
        disk: disk.clone(),
        ..WriterOptions::default()
    };
    disk.0.store(true, Ordering::Relaxed);
    let error = SpoolWriter::create(root.path(), meta(), options.clone()).unwrap_err().to_string();
    assert!(error.contains("cannot create") && error.contains("STEPLINE_DIR"), "{error}");
    disk.0.store(false, Ordering::Relaxed);
    let mut writer = SpoolWriter::create(root.path(), meta(), options).unwrap();
    disk.0.store(true, Ordering::Relaxed);
    let taken = (0..).find(|step| log(&mut writer, *step, &[("a", 1.0)]).is_err()).unwrap();
    disk.0.store(false, Ordering::Relaxed);
    log(&mut writer, taken, &[("a", 1.0)]).unwrap();
    let read = read_all(writer.dir());
    assert_eq!((read.errors.len(), read.contents.points.len() as i64), (0, taken + 1));
    assert!(read.contents.controls[0].1.contains("\"count\":1"));

    // Deleted while nothing can be made: what is logged goes into what this process still has, and is there later.
    disk.0.store(true, Ordering::Relaxed);
    fs::remove_dir_all(writer.dir()).unwrap();
    assert!(writer.tend().unwrap_err().to_string().contains("STEPLINE_DIR"));
    log(&mut writer, taken + 1, &[("a", 2.0)]).unwrap();
    disk.0.store(false, Ordering::Relaxed);
    writer.seal().unwrap();
    let last = read_all(writer.dir()).contents.points.pop().unwrap();
    assert_eq!((last.seq as i64, f64::from_bits(last.bits)), (taken + 2, 2.0));
}

/// Somebody removes a spool while another one asks where it begins: it is gone, or it begins where it began.
#[test]
fn a_spool_that_goes_does_not_begin_anew() {
    for _ in 0..100 {
        let (root, mut writer) = spool(WriteMode::Mapped);
        rows(&mut writer, 0..2_000);
        let dir = writer.dir().to_owned();
        fs::remove_file(&crate::support::segments(&dir)[0]).unwrap();
        let begin = SpoolReader::open(&dir).unwrap().first_available().unwrap();
        assert!(begin.0 > 1);
        let (from, to) = (dir.clone(), root.path().join("elsewhere"));
        let going = std::thread::spawn(move || fs::rename(from, to).unwrap());
        while let Ok(mut reader) = SpoolReader::open(&dir) {
            let Ok(found) = reader.first_available() else { break };
            assert_eq!(found, begin);
        }
        going.join().unwrap();
    }
}
