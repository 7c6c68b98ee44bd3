//! Scenario: the disk is full, then has room again. Guarantees: no crash, what is refused is counted, what was taken stays, and a gap
//! record says what is missing.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use stepline_core::spool::{Disk, RealDisk, SpoolWriter, WriterOptions};

use crate::support::{log, meta, read_all};

#[derive(Debug, Default)]
struct SmallDisk {
    full: AtomicBool,
    asked: AtomicU32,
}

impl Disk for SmallDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.full.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        RealDisk.allocate(file, bytes)
    }
}

fn options(disk: &Arc<SmallDisk>, retry_pause: Duration) -> WriterOptions {
    WriterOptions { segment_bytes: 4096, retry_pause, disk: Arc::<SmallDisk>::clone(disk), ..WriterOptions::default() }
}

/// Logs two metrics until the disk refuses; returns how many calls were taken.
fn fill(writer: &mut SpoolWriter) -> i64 {
    (0..).find(|step| log(writer, *step, &[("a", 1.0), ("b", 2.0)]).is_err()).unwrap()
}

#[test]
fn a_gap_record_counts_what_found_no_room() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    let mut writer = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    let taken = fill(&mut writer);
    assert!(taken > 0);
    let error = log(&mut writer, taken + 1, &[("a", 1.0), ("b", 2.0)]).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("STEPLINE_DIR"), "{error}");
    let name = writer.name_id("array").unwrap();
    assert!(writer.append_array(name, 1_000 + taken + 2, &[1; 500], &[1.0; 500]).unwrap_err().is_full());
    assert_eq!(writer.stats().lost_points, 504);

    disk.full.store(false, Ordering::Relaxed);
    let seq = log(&mut writer, taken + 3, &[("a", 3.0), ("b", 4.0)]).unwrap();
    assert_eq!(seq, taken as u64 + 1, "sequences have no gap");
    let read = read_all(writer.dir());
    assert!(read.errors.is_empty());
    assert_eq!(read.contents.points.len() as i64, 2 * (taken + 1));
    let gap: serde_json::Value = serde_json::from_str(&read.contents.controls[0].1).unwrap();
    assert_eq!(gap["gap"]["count"], 504);
    assert_eq!(gap["gap"]["first_ms"], 1_000 + taken);
    assert_eq!(gap["gap"]["last_ms"], 1_000 + taken + 2);
    assert!(gap["gap"]["reason"].as_str().unwrap().contains("cannot create"));
}

#[test]
fn a_full_disk_is_asked_again_only_after_a_pause() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    let mut writer = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::from_secs(3600))).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    let taken = fill(&mut writer);
    for _ in 0..100 {
        assert!(log(&mut writer, taken, &[("a", 1.0), ("b", 2.0)]).unwrap_err().is_full());
    }
    assert_eq!(disk.asked.load(Ordering::Relaxed), 2);
    assert_eq!(writer.stats().lost_points, 2 * 101);
}

#[test]
fn a_run_can_be_finished_on_a_full_disk_and_says_what_it_lost() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    let mut writer = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    fill(&mut writer);
    writer.append_control(5, "{\"finish\":{\"exit_code\":0}}").unwrap();
    writer.seal().unwrap();
    let controls = read_all(writer.dir()).contents.controls;
    assert_eq!(controls.len(), 2);
    assert!(controls[0].1.contains("finish") && controls[1].1.contains("\"count\":2"), "{controls:?}");
}

#[test]
fn a_spool_that_finds_no_room_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    disk.full.store(true, Ordering::Relaxed);
    let error = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn points_that_were_lost_before_the_spool_could_be_made_are_in_it_as_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    disk.full.store(true, Ordering::Relaxed);
    let error = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap_err();
    disk.full.store(false, Ordering::Relaxed);
    let mut writer = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap();
    writer.add_lost(7, 123, &error);
    let gap: serde_json::Value = serde_json::from_str(&read_all(writer.dir()).contents.controls[0].1).unwrap();
    assert_eq!((&gap["gap"]["count"], &gap["gap"]["first_ms"]), (&7.into(), &123.into()));
    assert_eq!(writer.stats().lost_points, 7);
}

#[test]
fn a_gap_record_before_a_control_record_takes_an_ordinal_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(SmallDisk::default());
    let mut writer = SpoolWriter::create(root.path(), meta(), options(&disk, Duration::ZERO)).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    fill(&mut writer);
    disk.full.store(false, Ordering::Relaxed);
    let long = format!("{{\"update\":\"{}\"}}", "x".repeat(3_000));
    assert_eq!(writer.append_control(0, &long).unwrap(), 2);
    let read = read_all(writer.dir());
    assert_eq!(read.contents.controls.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), [1, 2]);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
}
