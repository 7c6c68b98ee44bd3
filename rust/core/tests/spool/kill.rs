//! Scenario: SIGKILL of the writing process at a random moment, 20 rounds. Guarantees: every sequence that it reported is there,
//! whole, and nothing else than what it wrote.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stepline_core::spool::SpoolReader;

use crate::support::read_all;

#[test]
fn sigkill_loses_nothing_that_was_reported() {
    for round in 0u64..20 {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_spool-child"))
            .args([root.path().to_str().unwrap(), "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let dir = PathBuf::from(lines.next().unwrap().unwrap());
        let mut reader = SpoolReader::open(&dir).unwrap();
        assert!(reader.writer_alive());
        // Another place in the segments in each round.
        let enough = 50 + round * 397;
        let mut reported = 0;
        while reported < enough {
            reported = lines.next().unwrap().unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was still in the pipe; the last line may be torn.
        reported = lines.map_while(Result::ok).filter_map(|l| l.parse().ok()).fold(reported, u64::max);

        let read = read_all(&dir);
        assert!(read.errors.is_empty(), "round {round}: {:?}", read.errors);
        let last = read.contents.points.last().unwrap().seq;
        assert!(last == reported || last == reported + 1, "round {round}: {last} after {reported}");
        let expected: Vec<(u64, u64)> = (1..=last)
            .flat_map(|seq| [(seq, seq as f64), (seq, -(seq as f64))].into_iter().take(1 + (seq % 2) as usize))
            .map(|(seq, value)| (seq, value.to_bits()))
            .collect();
        let found: Vec<(u64, u64)> = read.contents.points.iter().map(|p| (p.seq, p.bits)).collect();
        assert_eq!(found, expected, "round {round}");
        assert!(!reader.writer_alive());
        assert!(reader.is_drained(last, 0).unwrap() && !reader.is_drained(last - 1, 0).unwrap());
    }
}
