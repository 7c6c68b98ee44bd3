//! Scenario: one process writes, another follows and releases what it has read. Guarantees: every record comes once, in order, whole.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stepline_core::spool::{status, SpoolReader};

use crate::support::{segments, Collector};

#[test]
fn a_reader_follows_a_living_writer() {
    const COUNT: u64 = 30_000;
    let root = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_spool-child"))
        .args([root.path().to_str().unwrap(), &COUNT.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let dir = PathBuf::from(lines.next().unwrap().unwrap());
    // Keeps the pipe empty, so that the child never waits for us.
    let pipe = std::thread::spawn(move || lines.count());

    let mut reader = SpoolReader::open(&dir).unwrap();
    let mut found = Collector::default();
    loop {
        let over = reader.is_sealed() || !reader.writer_alive();
        let taken = found.drain(&mut reader);
        let seq = found.contents.points.last().map_or(0, |p| p.seq);
        reader.release(seq, 0).unwrap();
        if over && taken == 0 {
            break;
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(pipe.join().unwrap() as u64, COUNT);
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    let seqs: Vec<u64> = found.contents.points.iter().map(|p| p.seq).collect();
    let expected: Vec<u64> = (1..=COUNT).flat_map(|seq| std::iter::repeat_n(seq, 1 + (seq % 2) as usize)).collect();
    assert_eq!(seqs, expected);
    assert!(found.contents.points.iter().all(|p| f64::from_bits(p.bits).abs() == p.step as f64));
    assert_eq!(segments(&dir).len(), 1);

    let seen = status(&dir).unwrap();
    assert_eq!((seen.last_seq, seen.alive, seen.run_id.as_str()), (COUNT, false, "child"));
    assert!(reader.is_drained(COUNT, 0).unwrap());
    reader.remove().unwrap();
    assert_eq!(status(&dir), None);
}
