//! Batches of every released version are read for ever. The fixtures were written by the `make_batch_fixtures` example of their time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on stops

use std::fs;
use std::path::PathBuf;

use stepline_core::batch::{DecodeLimits, DecodedBatch, StreamDecoder};
use stepline_core::id::siphash64;

/// (seq, metric, step, time, bits of the value)
type Entry = (u64, u64, i64, i64, u64);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(batch: &DecodedBatch) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        batch.points().map(|p| (p.seq, p.metric, p.step, p.time_ms, p.value.to_bits())).collect();
    entries.sort_unstable();
    entries
}

fn expected(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = text
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [seq, name, step, time, bits] = fields[..] else { panic!("{line}") };
            (
                seq.parse().unwrap(),
                siphash64(name),
                step.parse().unwrap(),
                time.parse().unwrap(),
                u64::from_str_radix(bits, 16).unwrap(),
            )
        })
        .collect();
    entries.sort_unstable();
    entries
}

#[test]
fn every_released_batch_is_read_bit_for_bit() {
    let dir = root().join("tests/fixtures/batch");
    let mut read = Vec::new();
    for file in fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "batch") {
            continue;
        }
        let points = expected(&fs::read_to_string(path.with_extension("tsv")).unwrap());
        let last = points.last().unwrap().0;
        let bytes = fs::read(&path).unwrap();
        let batch = StreamDecoder::new(DecodeLimits::default()).decode(1, last, &bytes).unwrap();
        assert_eq!(entries(&batch), points, "{}", path.display());
        read.push(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    for name in ["v1-arrays", "v1-dense", "v1-mixed"] {
        assert!(read.iter().any(|r| r == name), "{name} is missing in {read:?}");
    }
}

#[test]
fn the_worked_example_of_the_format_is_true() {
    let text = fs::read_to_string(root().join("docs/format.md")).unwrap();
    let (_, example) = text.split_once("```hex\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    // Each line: bytes in hexadecimal, at least three spaces, an explanation.
    let bytes: Vec<u8> = example
        .lines()
        .flat_map(|line| line.split("   ").next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let batch = StreamDecoder::new(DecodeLimits::default()).decode(1, 2, &bytes).unwrap();
    let (a, b) = (siphash64("a"), siphash64("b"));
    let mut points = vec![
        (1, a, 10, 1_000, 1.0f64.to_bits()),
        (1, b, 10, 1_000, 2.5f64.to_bits()),
        (2, a, 11, 1_250, 1.5f64.to_bits()),
        (2, b, 11, 1_250, 2.5f64.to_bits()),
    ];
    points.sort_unstable();
    assert_eq!(entries(&batch), points);
}
