//! Scenario: a spool holds as much as it may. Guarantees: each policy keeps the spool at its limit, counts what it costs, and goes on
//! as soon as there is room; what the drainer cannot get is never taken for damage.

use std::path::Path;
use std::time::Duration;

use stepline_core::spool::{status, LimitPolicy, SpoolReader, SpoolWriter, WriterOptions};

use crate::support::{log, meta, options, read_all};

const LIMIT: u64 = 64 << 10;

fn writer(root: &Path, policy: LimitPolicy) -> SpoolWriter {
    let options = WriterOptions { limit_bytes: LIMIT, policy, retry_pause: Duration::ZERO, ..options(8 << 20) };
    SpoolWriter::create(root, meta(), options).unwrap()
}

/// Logs until the writer refuses; returns how many calls were taken.
fn fill(writer: &mut SpoolWriter) -> i64 {
    (0..100_000).find(|step| log(writer, *step, &[("a", *step as f64), ("b", 0.5)]).is_err()).unwrap()
}

fn bytes(writer: &SpoolWriter) -> u64 {
    status(writer.dir()).unwrap().bytes
}

#[test]
fn the_newest_are_refused_and_counted_until_the_drainer_makes_room() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::Refuse);
    let taken = fill(&mut writer);
    assert!(bytes(&writer) <= LIMIT && bytes(&writer) > LIMIT / 2, "{}", bytes(&writer));
    let error = log(&mut writer, taken, &[("a", 0.0), ("b", 0.0)]).unwrap_err();
    assert!(error.is_full() && !error.is_busy() && error.to_string().contains("spool_limit"), "{error}");
    assert_eq!(writer.stats().lost_points, 4);
    writer.append_control(0, "{\"update\":{}}").unwrap();

    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    assert!(reader.release(writer.last_seq() / 2, 0).unwrap() > 0);
    log(&mut writer, taken + 1, &[("a", 1.0), ("b", 0.0)]).unwrap();
    let gap = &read_all(writer.dir()).contents.controls[1].1;
    assert!(gap.contains("\"count\":4") && gap.contains("limit"), "{gap}");
    assert!(bytes(&writer) <= LIMIT);
}

#[test]
fn a_run_can_end_at_the_limit() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::Refuse);
    fill(&mut writer);
    for _ in 0..100 {
        writer.append_control(0, &format!("{{\"update\":\"{}\"}}", "x".repeat(300))).unwrap();
    }
    writer.seal().unwrap();
    assert_eq!(read_all(writer.dir()).contents.controls.len(), 101);
}

#[test]
fn who_is_told_to_wait_loses_nothing_and_counts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::Block);
    let taken = fill(&mut writer);
    let error = log(&mut writer, taken, &[("a", 0.0), ("b", 0.0)]).unwrap_err();
    assert!(error.is_busy() && error.kind().as_str() == "full", "{error}");
    let name = writer.name_id("array").unwrap();
    let (before, many) = (writer.last_seq(), vec![1.0; 10_000]);
    assert!(writer.append_array(name, 0, &vec![1; 10_000], &many).unwrap_err().is_busy());
    let part = (writer.last_seq() - before) as usize;
    assert_eq!(writer.stats().lost_points, 0);

    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    reader.release(writer.last_seq(), 0).unwrap();
    log(&mut writer, taken, &[("a", 0.0), ("b", 0.0)]).unwrap();
    assert!(part < 10_000);

    fill(&mut writer);
    writer.stop_waiting();
    assert!(!log(&mut writer, taken, &[("a", 0.0)]).unwrap_err().is_busy(), "after that it refuses");
    assert_eq!(writer.stats().lost_points, 1);
    reader.release(writer.last_seq(), 0).unwrap();
    log(&mut writer, taken, &[("a", 0.0)]).unwrap();
    fill(&mut writer);
    assert!(log(&mut writer, taken, &[("a", 0.0)]).unwrap_err().is_busy(), "and waits again once there was room");
}

#[test]
fn the_oldest_are_dropped_and_that_is_no_damage() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::DropOldest);
    let mut follower = SpoolReader::open(writer.dir()).unwrap();
    assert!(follower.next().unwrap().is_none());
    for step in 0..20_000 {
        log(&mut writer, step, &[("a", step as f64), ("b", 0.5)]).unwrap();
    }
    assert!(bytes(&writer) <= LIMIT);
    let notice = writer.take_notice().unwrap();
    assert!(notice.contains("deleted unsent") && writer.take_notice().is_none(), "{notice}");
    let found = read_all(writer.dir());
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    let first = found.contents.points[0].seq;
    assert_eq!(writer.stats().dropped_points, 2 * (first - 1));
    assert_eq!(found.contents.points.last().unwrap().seq, 20_000);
    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    assert_eq!((reader.first_available().unwrap().0, reader.dropped_up_to()), (first, first - 1));
    // Who read before goes on behind the hole, and is not told of damage.
    let mut seqs = Vec::new();
    while let Some(record) = follower.next().unwrap() {
        seqs.extend(record.seqs().map(|(seq, _)| seq));
    }
    assert!(seqs.windows(2).all(|w| w[0] < w[1]) && *seqs.last().unwrap() == 20_000);
}

#[test]
fn what_was_stored_and_deleted_by_the_drainer_is_not_counted_as_dropped() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::DropOldest);
    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    for step in 0..20_000 {
        log(&mut writer, step, &[("a", step as f64), ("b", 0.5)]).unwrap();
        if step % 100 == 0 {
            reader.release(writer.last_seq(), 0).unwrap();
        }
    }
    assert_eq!((writer.stats().dropped_points, writer.take_notice()), (0, None));
}

#[test]
fn a_record_that_is_larger_than_the_limit_still_finds_its_place() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), LimitPolicy::Refuse);
    let names: Vec<u32> = (0..10_000).map(|i| writer.name_id(&format!("metric/{i}")).unwrap()).collect();
    let keyset = writer.keyset_id(&names).unwrap();
    writer.append_row(keyset, 0, 0, &vec![1.0; 10_000]).unwrap();
    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    for step in 1..50 {
        reader.release(writer.last_seq(), 0).unwrap();
        writer.append_row(keyset, step, 0, &vec![1.0; 10_000]).unwrap();
    }
    assert_eq!(writer.stats().lost_points, 0);
}
