//! Writes the golden batches of the current format version: `cargo run -p stepline-core --example make_batch_fixtures -- DIR`.
//!
//! A fixture that exists is never written again: what was once released has to be readable for ever. A new format version gets new names.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use stepline_core::batch::{BatchLimits, EncodedBatch, StreamEncoder};
use stepline_core::record::Record;

fn main() {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "tests/fixtures/batch".into()));
    for (name, make) in [("dense", dense as fn(&mut Fixture)), ("mixed", mixed), ("arrays", arrays)] {
        let mut fixture = Fixture::new();
        make(&mut fixture);
        let batch = fixture.encoder.finish().unwrap().unwrap();
        fixture.save(&dir, &format!("v1-{name}"), &batch);
    }
}

/// An encoder and, beside it, every point that goes in, as a line of text.
struct Fixture {
    encoder: StreamEncoder,
    names: Vec<String>,
    keysets: Vec<Vec<u32>>,
    next: u64,
    points: String,
}

impl Fixture {
    fn new() -> Self {
        let limits = BatchLimits { max_points: usize::MAX, max_raw_bytes: usize::MAX };
        let (names, keysets, points) = Default::default();
        Fixture { encoder: StreamEncoder::new(limits), names, keysets, next: 1, points }
    }

    fn names(&mut self, names: &[&str]) {
        for name in names {
            self.encoder.push(&Record::Name { id: self.names.len() as u32, name }, 0).unwrap();
            self.names.push((*name).to_owned());
        }
    }

    fn keyset(&mut self, names: &[u32]) {
        self.encoder.push(&Record::KeySet { id: self.keysets.len() as u32, names }, 0).unwrap();
        self.keysets.push(names.to_vec());
    }

    fn point(&mut self, seq: u64, name: u32, step: i64, time_ms: i64, value: f64) {
        let name = &self.names[name as usize];
        writeln!(self.points, "{seq}\t{name}\t{step}\t{time_ms}\t{:016x}", value.to_bits()).unwrap();
    }

    fn row(&mut self, keyset: u32, step: i64, time_ms: i64, values: &[f64]) {
        let seq = self.next;
        self.encoder.push(&Record::Row { seq, time_ms, step, keyset, values }, 0).unwrap();
        for (name, value) in self.keysets[keyset as usize].clone().into_iter().zip(values) {
            self.point(seq, name, step, time_ms, *value);
        }
        self.next += 1;
    }

    fn sparse(&mut self, step: i64, time_ms: i64, names: &[u32], values: &[f64]) {
        let seq = self.next;
        self.encoder.push(&Record::Sparse { seq, time_ms, step, names, values }, 0).unwrap();
        for (name, value) in names.iter().zip(values) {
            self.point(seq, *name, step, time_ms, *value);
        }
        self.next += 1;
    }

    fn array(&mut self, name: u32, time_ms: i64, steps: &[i64], values: &[f64]) {
        let seq = self.next;
        self.encoder.push(&Record::Array { seq, time_ms, name, steps, values }, 0).unwrap();
        for (i, (step, value)) in steps.iter().zip(values).enumerate() {
            self.point(seq + i as u64, name, *step, time_ms, *value);
        }
        self.next += values.len() as u64;
    }

    fn save(&self, dir: &Path, name: &str, batch: &EncodedBatch) {
        assert_eq!((batch.first_seq, batch.last_seq), (1, self.next - 1));
        for (extension, bytes) in [("batch", batch.bytes.as_slice()), ("tsv", self.points.as_bytes())] {
            let path = dir.join(format!("{name}.{extension}"));
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
            file.write_all(bytes).unwrap();
            println!("{}: {} bytes", path.display(), bytes.len());
        }
    }
}

/// A number in 0..1 that looks random: splitmix64.
fn noise(i: usize) -> f64 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// One key set, 20 rows: every kind of column and every predictor.
fn dense(fixture: &mut Fixture) {
    fixture.names(&["constant", "counter", "loss", "bf16", "walk", "time", "random", "level", "narrow"]);
    fixture.keyset(&(0..9).collect::<Vec<_>>());
    let mut walk = 1.0f32;
    for i in 0..20usize {
        walk *= 1.0 + 0.01 * (noise(i) as f32 - 0.5);
        let bf16 = f32::from_bits((3.0 + noise(i + 50) as f32).to_bits() & 0xffff_0000);
        let values = [
            0.1,
            4_096.0 * i as f64,
            f64::from(2.0f32 / (1.0 + i as f32) + 0.1 * noise(i + 99) as f32),
            f64::from(bf16),
            f64::from(walk),
            0.25 + 0.01 * noise(i + 400),
            f64::from_bits((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            f64::from(5.0 + noise(i * 7 + 1_000) as f32),
            (noise(i + 2_000) * 10.0).floor(),
        ];
        fixture.row(0, 10 * i as i64, 1_750_000_000_000 + 250 * i as i64 + (i % 3) as i64, &values);
    }
}

/// Two key sets, sparse rows and special values, interleaved; steps and times at their extremes.
fn mixed(fixture: &mut Fixture) {
    fixture.names(&["train/loss", "train/grad_norm", "val/loss", "指标/µ"]);
    fixture.keyset(&[0, 1]);
    fixture.keyset(&[3, 0]);
    fixture.row(0, i64::MIN, 0, &[f64::NAN, -0.0]);
    fixture.row(1, i64::MAX, -1, &[f64::INFINITY, f64::NEG_INFINITY]);
    fixture.sparse(0, i64::MAX, &[2], &[f64::from_bits(0x7ff0_0000_0000_0001)]);
    fixture.row(0, -5, i64::MIN, &[5e-324, f64::MAX]);
    fixture.sparse(7, 12, &[2, 0, 1], &[0.1, f64::from_bits(0xfff8_0000_2000_0000), 9_007_199_254_740_993.0]);
    fixture.row(0, 8, 13, &[1.0, 2.0]);
    fixture.sparse(9, 14, &[3], &[-9_223_372_036_854_775_808.0]);
}

/// Bulk arrays: short, long with a common base, long and smooth, long noise; a row between them.
fn arrays(fixture: &mut Fixture) {
    fixture.names(&["short", "decimal", "smooth", "noise"]);
    fixture.keyset(&[0]);
    fixture.array(0, 1_000, &[3, 1, 2], &[0.5, -1.5, f64::NAN]);
    let steps: Vec<i64> = (0..1_500).collect();
    let decimal: Vec<f64> = (0..1_500).map(|i| (noise(i) * 1_000.0).floor() * 0.01).collect();
    fixture.array(1, 2_000, &steps, &decimal);
    fixture.row(0, 77, 2_500, &[1.25]);
    // Products and sums only, so that every machine makes the same values.
    let smooth: Vec<f64> = (0..1_200).map(|i| f64::from(i) * (1_200.0 - f64::from(i)) * 1e-6).collect();
    let back: Vec<i64> = (0..1_200).map(|i| 10_000 - i * i).collect();
    fixture.array(2, 3_000, &back, &smooth);
    let noisy: Vec<f64> = (0..1_000).map(|i| f64::from((2.0 + noise(i + 7)) as f32)).collect();
    fixture.array(3, 4_000, &steps[..1_000], &noisy);
}
