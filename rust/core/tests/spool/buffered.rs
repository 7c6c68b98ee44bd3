//! Scenario: a file system on which a mapping is not to be trusted. Guarantees: the same files, written at a bounded cadence; a reader
//! finds whole records or none at any moment; nothing that was written is lost, and what is in memory is what was logged last.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memmap2::MmapRaw;
use stepline_core::spool::{status, Disk, RealDisk, SpoolReader, SpoolWriter, WriteMode, WriterOptions};

use crate::support::{log, meta, read_all, Collector};

/// A disk that says it is far away, and fails when it is told to.
#[derive(Debug, Default)]
struct Remote {
    no_maps: bool,
    cut_off: AtomicBool,
    /// Of the next writes, so many bytes go through before the disk fails.
    left: AtomicUsize,
}

impl Disk for Remote {
    fn is_remote(&self, _dir: &Path) -> bool {
        !self.no_maps
    }

    fn map(&self, _file: &File, _bytes: usize) -> io::Result<MmapRaw> {
        assert!(self.no_maps, "a remote file is not mapped");
        Err(io::Error::from_raw_os_error(19))
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        if !self.cut_off.load(Ordering::Relaxed) {
            return RealDisk.write_at(file, bytes, at);
        }
        let left = self.left.load(Ordering::Relaxed);
        // A word is written whole or not at all.
        let part = if bytes.len() <= 4 && left < bytes.len() { 0 } else { left.min(bytes.len()) };
        self.left.fetch_sub(part, Ordering::Relaxed);
        RealDisk.write_at(file, &bytes[..part], at)?;
        if part == bytes.len() {
            return Ok(());
        }
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

fn options(disk: Arc<dyn Disk>) -> WriterOptions {
    WriterOptions { segment_bytes: 16 << 10, disk, ..WriterOptions::default() }
}

#[test]
fn a_network_file_system_and_one_without_mappings_are_written_to() {
    for no_maps in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Remote { no_maps, ..Remote::default() });
        let writer = SpoolWriter::create(root.path(), meta(), options(disk)).unwrap();
        assert!(writer.is_buffered());
        assert_eq!(status(writer.dir()).unwrap().write, "buffered");
    }
    let root = tempfile::tempdir().unwrap();
    let writer = SpoolWriter::create(root.path(), meta(), WriterOptions::default()).unwrap();
    assert_eq!((writer.is_buffered(), status(writer.dir()).unwrap().write.as_str()), (false, "mapped"));
    let mapped =
        WriterOptions { write: WriteMode::Mapped, ..options(Arc::new(Remote { no_maps: true, ..Remote::default() })) };
    assert!(SpoolWriter::create(root.path(), meta(), mapped).is_err(), "what was asked for cannot be had");
}

#[test]
fn a_burst_waits_in_memory_and_everything_else_is_written_with_the_call() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(Arc::new(Remote::default()))).unwrap();
    let dir = writer.dir().to_owned();
    let seen = || read_all(&dir).contents.points.len() as i64;
    // `log` takes a millisecond a step.
    for step in 0..100 {
        log(&mut writer, step, &[("a", 1.0)]).unwrap();
        assert_eq!(seen(), 1, "the first record of a burst is written, the others within 100 ms");
    }
    log(&mut writer, 100, &[("a", 1.0)]).unwrap();
    assert_eq!(seen(), 101);
    for seconds in 1..4 {
        log(&mut writer, seconds * 1_000, &[("a", 1.0)]).unwrap();
        assert_eq!(seen(), 101 + seconds, "who logs rarely has nothing in memory");
    }
    log(&mut writer, 3_001, &[("a", 1.0)]).unwrap();
    log(&mut writer, -5_000, &[("a", 1.0)]).unwrap();
    assert_eq!(seen(), 106, "nor does a clock that is set back");
    log(&mut writer, -4_999, &[("a", 1.0)]).unwrap();
    writer.append_control(0, "{\"update\":{}}").unwrap();
    assert_eq!(seen(), 107, "control records are written at once");
    log(&mut writer, -4_998, &[("a", 1.0)]).unwrap();
    writer.sync().unwrap();
    assert_eq!(seen(), 108);
    log(&mut writer, -4_997, &[("a", 1.0)]).unwrap();
    writer.tend().unwrap();
    assert_eq!(seen(), 109);
    log(&mut writer, -4_996, &[("a", 1.0)]).unwrap();
    writer.seal().unwrap();
    assert_eq!(seen(), 110);
}

#[test]
fn a_large_burst_is_written_by_its_bytes_and_a_dropped_writer_writes_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let options = WriterOptions { write_bytes: 1_000, ..options(Arc::new(Remote::default())) };
    let mut writer = SpoolWriter::create(root.path(), meta(), options).unwrap();
    let dir = writer.dir().to_owned();
    let name = writer.name_id("a").unwrap();
    writer.append_array(name, 0, &[0], &[0.0]).unwrap();
    for step in 0..100_i64 {
        writer.append_array(name, 1, &[step; 10], &[1.0; 10]).unwrap();
        let behind = writer.last_seq() - read_all(&dir).contents.points.last().unwrap().seq;
        assert!(behind < 70, "{behind} points are in memory");
    }
    drop(writer);
    assert_eq!(read_all(&dir).contents.points.len(), 1_001);
}

/// Scenario: each write is cut off after any number of bytes. Guarantees: a reader that looks at that moment sees what was written
/// before and no damage, and all of it once the disk works again.
#[test]
fn a_write_that_is_cut_short_shows_nothing_of_itself() {
    for cut in (0..700).step_by(7) {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Remote::default());
        let mut writer = SpoolWriter::create(root.path(), meta(), options(disk.clone())).unwrap();
        log(&mut writer, 0, &[("a", 0.0), ("b", 0.5)]).unwrap();
        let mut reader = SpoolReader::open(writer.dir()).unwrap();
        let mut found = Collector::default();
        found.drain(&mut reader);
        assert_eq!(found.contents.points.len(), 2);
        disk.left.store(cut, Ordering::Relaxed);
        disk.cut_off.store(true, Ordering::Relaxed);
        for step in 1..10 {
            log(&mut writer, step, &[("a", step as f64), ("b", 0.5)]).unwrap();
        }
        let failed = writer.tend().is_err();
        found.drain(&mut reader);
        assert_eq!((found.errors.len(), found.contents.points.len()), (0, if failed { 2 } else { 20 }), "cut at {cut}");
        disk.cut_off.store(false, Ordering::Relaxed);
        writer.tend().unwrap();
        found.drain(&mut reader);
        assert_eq!((found.errors.len(), found.contents.points.len()), (0, 20), "cut at {cut}");
    }
}

#[test]
fn a_disk_that_refuses_writes_for_long_makes_a_gap_and_not_an_endless_buffer() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Remote::default());
    let options = WriterOptions { retry_pause: std::time::Duration::ZERO, ..options(disk.clone()) };
    let mut writer = SpoolWriter::create(root.path(), meta(), options).unwrap();
    disk.cut_off.store(true, Ordering::Relaxed);
    let taken = (0..10_000).find(|step| log(&mut writer, *step, &[("a", 1.0)]).is_err()).unwrap();
    assert!(taken < 400, "a segment holds {taken} records");
    assert!(writer.tend().unwrap_err().is_full());
    disk.cut_off.store(false, Ordering::Relaxed);
    log(&mut writer, 20_000, &[("a", 1.0)]).unwrap();
    writer.seal().unwrap();
    let read = read_all(writer.dir());
    assert_eq!((read.errors.len(), read.contents.points.len() as i64), (0, taken + 1));
    assert!(read.contents.controls[0].1.contains("\"count\":1"), "{:?}", read.contents.controls);
}

/// A server of files that goes away and comes back: what was open then stays dead.
#[derive(Debug, Default)]
struct Mount {
    away: AtomicBool,
    dead: Mutex<HashSet<u64>>,
    open: Mutex<HashSet<u64>>,
}

impl Mount {
    fn go(&self) {
        self.away.store(true, Ordering::Relaxed);
        self.dead.lock().unwrap().extend(self.open.lock().unwrap().drain());
    }

    fn answer(&self, gone: bool) -> io::Result<()> {
        match gone || self.away.load(Ordering::Relaxed) {
            true => Err(rustix::io::Errno::NOTCONN.into()),
            false => Ok(()),
        }
    }
}

impl Disk for Mount {
    fn is_remote(&self, _dir: &Path) -> bool {
        true
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.answer(false)?;
        let file = RealDisk.create(path)?;
        let inode = file.metadata()?.ino();
        self.open.lock().unwrap().insert(inode);
        // The number of a file that is gone is given again.
        self.dead.lock().unwrap().remove(&inode);
        Ok(file)
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.answer(self.dead.lock().unwrap().contains(&file.metadata()?.ino()))?;
        RealDisk.write_at(file, bytes, at)
    }
}

#[test]
fn a_server_that_comes_back_gets_what_it_missed() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Mount::default());
    let options = WriterOptions { retry_pause: Duration::ZERO, ..options(disk.clone()) };
    let mut writer = SpoolWriter::create(root.path(), meta(), options).unwrap();
    let mut step = 0;
    let mut rows = |writer: &mut SpoolWriter, count: i64| {
        let taken = (0..count).filter(|_| {
            step += 1;
            log(writer, step, &[("a", step as f64)]).is_ok()
        });
        taken.count()
    };
    // Away for less than a segment: nothing is lost.
    let mut taken = rows(&mut writer, 100);
    disk.go();
    taken += rows(&mut writer, 100);
    assert!(writer.tend().is_err());
    disk.away.store(false, Ordering::Relaxed);
    taken += rows(&mut writer, 200);
    assert_eq!((taken, writer.stats().lost_points), (400, 0));
    assert!(SpoolReader::open(writer.dir()).unwrap().writer_alive());
    // Away for more: what found no room is counted, and then it goes on.
    disk.go();
    taken += rows(&mut writer, 2_000);
    disk.away.store(false, Ordering::Relaxed);
    taken += rows(&mut writer, 1_000);
    writer.seal().unwrap();
    let lost = 3_400 - taken as u64;
    assert!(lost > 0 && writer.stats().lost_points == lost);
    let found = read_all(writer.dir());
    assert_eq!((found.errors.len(), found.contents.points.len()), (0, taken));
    assert!(found.contents.controls[0].1.contains(&format!("\"count\":{lost}")), "{:?}", found.contents.controls);
}
