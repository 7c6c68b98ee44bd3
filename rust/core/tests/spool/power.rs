//! Scenario: power losses at any moment, also in the middle of a file operation, on a disk that keeps of what was not synced whatever
//! it likes. Guarantees: nothing is lost but what was logged within the last second, nothing at all that was there when
//! `flush(durable=True)` returned, and what is read was logged.
//!
//! STEPLINE_POWER_LOSSES says how many; STEPLINE_SEED replays one.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stepline_core::spool::{layout, scan, SpoolReader, SpoolWriter, WriteMode, WriterOptions};

use crate::outage::{Chance, Outage};
use crate::support::{log, meta, read_all, Contents, Point};

/// As the uploader does: half a second after the end of the last one.
const SYNC_MS: i64 = 500;
/// What a sync may take on a slow disk.
const SLOW_MS: u64 = 400;

/// What was logged, and how much of it no power loss may take.
#[derive(Default)]
struct Ledger {
    points: Vec<Point>,
    logged_ms: Vec<i64>,
    durable: usize,
}

impl Ledger {
    fn note(&mut self, seq: u64, name: &str, step: i64, time_ms: i64, value: f64, now: i64) {
        self.points.push(Point { seq, name: name.to_owned(), step, time_ms, bits: value.to_bits() });
        self.logged_ms.push(now);
    }

    /// How many of the points must be found after a power loss.
    fn safe(&self, now: i64) -> usize {
        self.durable.max(self.logged_ms.partition_point(|logged| *logged < now - 1_000))
    }

    fn judge(&self, found: &Contents, safe: usize, story: &str) {
        assert!(found.points.len() <= self.points.len(), "{story}");
        let logged: HashSet<&Point> = self.points.iter().collect();
        assert!(found.points.iter().all(|point| logged.contains(point)), "{story}: wrong data");
        assert!(found.points.windows(2).all(|w| w[0].seq <= w[1].seq && w[0] != w[1]), "{story}: order");
        assert_eq!(found.points.get(..safe), self.points.get(..safe), "{story}: lost");
    }
}

fn options(disk: &Arc<Outage>, chance: &mut Chance) -> WriterOptions {
    WriterOptions {
        segment_bytes: 4096 << chance.below(3),
        // In half of the stories segments are made ahead.
        ahead_bytes: 512 << (9 * chance.below(2)),
        retry_pause: Duration::ZERO,
        write: if chance.once_in(3) { WriteMode::Buffered } else { WriteMode::Mapped },
        disk: disk.clone(),
        ..WriterOptions::default()
    }
}

/// Logs something; the clock of the records is the clock of the story.
fn append(writer: &mut SpoolWriter, ledger: &mut Ledger, chance: &mut Chance, now: i64) {
    match chance.below(10) {
        0 => {
            let id = writer.name_id("array").unwrap();
            let steps: Vec<i64> = (0..1 + chance.below(60) as i64).collect();
            let values: Vec<f64> = steps.iter().map(|step| (now * 1_000 + step) as f64).collect();
            let first = writer.append_array(id, now, &steps, &values).unwrap();
            for (i, (step, value)) in steps.iter().zip(&values).enumerate() {
                ledger.note(first + i as u64, "array", *step, now, *value, now);
            }
        }
        1 => drop(writer.append_control(now, "{\"update\":{}}").unwrap()),
        _ => {
            let names = ["a", "b/c", "d"];
            let width = 1 + chance.below(3) as usize;
            let values: Vec<f64> = (0..width).map(|_| f64::from_bits(chance.next() & 0x7fef_ffff_ffff_ffff)).collect();
            let row: Vec<(&str, f64)> = names.into_iter().zip(values).collect();
            // `log` puts this before the step.
            let seq = log(writer, now - 1_000, &row).unwrap();
            for (name, value) in row {
                ledger.note(seq, name, now - 1_000, now, value, now);
            }
        }
    }
}

fn story(seed: u64, scratch: &Path) {
    let mut chance = Chance::new(seed);
    let (live, after) = (scratch.join("live"), scratch.join("after"));
    fs::create_dir(&live).unwrap();
    let disk = Arc::new(Outage::new(&live, Chance::new(chance.next())));
    let fails_within = chance.once_in(2).then(|| chance.below(60));
    if let Some(calls) = fails_within.filter(|_| chance.once_in(2)) {
        disk.fail_after(calls);
    }
    let root = live.join("root");
    let mut writer = SpoolWriter::create(&root, meta(), options(&disk, &mut chance)).unwrap();
    let mut syncer = SpoolReader::open(writer.dir()).unwrap();
    let (mut ledger, mut now, mut next_sync) = (Ledger::default(), 1_000_000, 1_000_000 + SYNC_MS);
    let fail_at = chance.below(150);
    // What must be there is what was safe when the power went, and the calls of one turn may be cut anywhere.
    let mut safe = 0;
    for turn in 0..200 {
        if turn == fail_at {
            disk.fail_after(chance.below(12));
        }
        now += chance.below(40) as i64;
        if now >= next_sync {
            syncer.sync_on(&*disk).unwrap();
            now += chance.below(SLOW_MS) as i64;
            next_sync = now + SYNC_MS;
        }
        if !disk.has_failed() {
            safe = ledger.safe(now);
        }
        append(&mut writer, &mut ledger, &mut chance, now);
        if chance.once_in(25) {
            writer.sync().unwrap();
            if !disk.has_failed() {
                ledger.durable = ledger.points.len();
                safe = ledger.durable;
            }
        }
        if chance.once_in(8) {
            disk.write_back(chance.below(9));
        }
        if disk.has_failed() {
            break;
        }
    }
    disk.crash(&after);
    let root = after.join("root");
    let spools = scan(&root).unwrap();
    let found = match spools.first() {
        // A spool that nobody can make out is as good as lost.
        Some(dir) if SpoolReader::open(dir).is_ok() => {
            assert!(!dir.join(layout::SEALED_FILE).exists());
            read_all(dir).contents
        }
        _ => Contents::default(),
    };
    ledger.judge(&found, safe, &format!("STEPLINE_SEED={seed}"));
}

#[test]
fn a_power_loss_takes_at_most_the_last_second_and_nothing_that_was_flushed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("STEPLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STEPLINE_POWER_LOSSES").unwrap_or(200),
    };
    for seed in seeds {
        // Many small files that nobody syncs: in memory where that is to be had.
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        story(seed, scratch.path());
    }
}
