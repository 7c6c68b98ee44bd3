//! Scenario: the next segment is made while the present one fills. Guarantees: who reads, counts or deletes meanwhile is not
//! disturbed; whatever goes wrong with it, no point is lost for it; nothing is left of it when the spool is closed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use memmap2::MmapRaw;
use stepline_core::spool::{status, Disk, LimitPolicy, RealDisk, SpoolReader, SpoolWriter, WriterOptions};

use crate::support::{log, meta, options, read_all, segments};

const SEGMENT: usize = 32 << 10;

/// What is being made in the directory of a spool.
fn spares(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|extension| extension == "new")).collect()
}

/// Logs until there is a spare segment that is complete; returns the next step.
fn until_spare(writer: &mut SpoolWriter) -> i64 {
    let done = (0..).find(|step| {
        log(writer, *step, &[("a", *step as f64)]).unwrap();
        spares(writer.dir()).iter().any(|path| fs::metadata(path).unwrap().len() == SEGMENT as u64)
    });
    done.unwrap() + 1
}

#[test]
fn the_next_segment_is_there_before_it_is_needed_and_becomes_one_then() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(SEGMENT)).unwrap();
    let mut follower = SpoolReader::open(writer.dir()).unwrap();
    let before = until_spare(&mut writer);
    assert_eq!((segments(writer.dir()).len(), spares(writer.dir()).len()), (1, 1));
    assert_eq!(status(writer.dir()).unwrap().bytes, 2 * SEGMENT as u64, "it takes room");
    assert_eq!(follower.last().unwrap(), (before as u64, 0));
    follower.sync().unwrap();
    let made = fs::File::open(&spares(writer.dir())[0]).unwrap();

    let after = (before..).find(|step| {
        log(&mut writer, *step, &[("a", *step as f64)]).unwrap();
        segments(writer.dir()).len() == 2
    });
    let second = fs::File::open(&segments(writer.dir())[1]).unwrap();
    assert!(spares(writer.dir()).is_empty() && same(&made, &second), "it is the file that was made before");
    let found = read_all(writer.dir());
    assert!(found.errors.is_empty() && found.contents.points.len() as i64 == after.unwrap() + 1);
}

fn same(a: &File, b: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.metadata().unwrap().ino() == b.metadata().unwrap().ino()
}

#[test]
fn nothing_is_left_of_it_when_the_spool_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(SEGMENT)).unwrap();
    until_spare(&mut writer);
    writer.seal().unwrap();
    assert!(spares(writer.dir()).is_empty());
}

#[test]
fn what_a_dead_process_left_of_it_is_no_damage_and_goes_with_the_spool() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(SEGMENT)).unwrap();
    let logged = until_spare(&mut writer) as u64;
    let dir = writer.dir().to_owned();
    drop(writer);
    assert_eq!(spares(&dir).len(), 1);
    let found = read_all(&dir);
    assert!(found.errors.is_empty() && found.contents.points.len() as u64 == logged);
    let mut reader = SpoolReader::open(&dir).unwrap();
    assert!(reader.is_drained(logged, 0).unwrap() && !reader.is_drained(logged - 1, 0).unwrap());
    reader.remove().unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_forked_child_leaves_the_one_of_its_parent_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(SEGMENT)).unwrap();
    until_spare(&mut writer);
    let dir = writer.dir().to_owned();
    // What the child does with its copy.
    writer.abandon();
    assert_eq!(spares(&dir).len(), 1);
}

#[test]
fn a_spare_segment_counts_for_the_limit() {
    const LIMIT: u64 = 8 * SEGMENT as u64;
    for policy in [LimitPolicy::Refuse, LimitPolicy::Block, LimitPolicy::DropOldest] {
        let root = tempfile::tempdir().unwrap();
        let limited = WriterOptions { limit_bytes: LIMIT, policy, ..options(SEGMENT) };
        let mut writer = SpoolWriter::create(root.path(), meta(), limited).unwrap();
        let (mut highest, mut spare_seen) = (0, false);
        for step in 0..8_000 {
            let _ = log(&mut writer, step, &[("a", step as f64)]);
            highest = highest.max(status(writer.dir()).unwrap().bytes);
            spare_seen |= !spares(writer.dir()).is_empty();
        }
        assert!(spare_seen && highest <= LIMIT && highest > LIMIT / 2, "{policy:?}: {highest}");
        assert!(read_all(writer.dir()).errors.is_empty());
    }
}

/// One call fails.
#[derive(Debug)]
struct OneBadCall(AtomicI64);

impl OneBadCall {
    fn allow(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            0 => Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }
}

impl Disk for OneBadCall {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.allow().and_then(|()| RealDisk.create(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allow().and_then(|()| RealDisk.rename(from, to))
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.allow().and_then(|()| RealDisk.allocate(file, bytes))
    }

    fn map(&self, file: &File, bytes: usize) -> io::Result<MmapRaw> {
        self.allow().and_then(|()| RealDisk.map(file, bytes))
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.allow().and_then(|()| RealDisk.write_at(file, bytes, at))
    }
}

#[test]
fn any_call_to_the_disk_may_fail() {
    const STEPS: i64 = 1_500;
    for bad in 0.. {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(OneBadCall(AtomicI64::new(i64::MAX)));
        let (segment_bytes, retry_pause) = (16 << 10, Duration::ZERO);
        let options = WriterOptions { retry_pause, disk: disk.clone(), ..options(segment_bytes) };
        let mut writer = SpoolWriter::create(root.path(), meta(), options).unwrap();
        disk.0.store(bad, Ordering::Relaxed);
        let taken = (0..STEPS).filter(|step| log(&mut writer, *step, &[("a", *step as f64)]).is_ok()).count();
        if disk.0.load(Ordering::Relaxed) > 0 {
            assert!(bad > 20, "no call failed");
            break;
        }
        // Only the zeros of pages that a record needs at once cannot be had elsewhere.
        assert!(taken as i64 >= STEPS - 1, "call {bad}: {taken}");
        assert_eq!(writer.stats().lost_points, (STEPS - taken as i64) as u64);
        disk.0.store(i64::MAX, Ordering::Relaxed);
        writer.seal().unwrap();
        let found = read_all(writer.dir());
        assert!(found.errors.is_empty() && found.contents.points.len() == taken, "call {bad}");
        assert!(spares(writer.dir()).is_empty(), "call {bad}");
    }
}
