//! What a batch costs: bytes a value against the entropy of what was logged, and time a point against byte shuffle + zstd 1 of the same
//! values. Everything is measured in one run, interleaved, best of several rounds, so that the ratios mean something on a busy machine.
//!
//! `cargo run --release -p stepline-core --example batch_cost` (`-- --json` for one JSON object a line)

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod workload;

use std::hint::black_box;
use std::time::Instant;

use stepline_core::batch::{BatchLimits, DecodeLimits, StreamDecoder, StreamEncoder};
use stepline_core::block::{self, WriterKey};
use stepline_core::id::WriterId;
use stepline_core::record::Record;
use workload::{Mix, Workload};

/// One line of the report.
struct Cost {
    shape: String,
    bound: f64,
    bytes: f64,
    floor_bytes: f64,
    encode_ns: f64,
    floor_ns: f64,
    decode_ns: f64,
    block_ns: f64,
    copy_ns: f64,
}

fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    let mut costs = Vec::new();
    for (metrics, steps) in [(1_000, 1), (1_000, 5), (1_000, 10), (1_000, 100), (100, 10), (10, 100)] {
        let workload = Workload::new(Mix::Training, metrics, steps);
        let bound = workload.value_bits + workload.time_bits;
        costs.push(measure(format!("{metrics} metrics x {steps} steps"), &workload, bound, rows));
    }
    for (mix, metrics, name) in [(Mix::Noise, 1, "noise"), (Mix::Training, 20, "mixed"), (Mix::Schedule, 1, "schedule")]
    {
        for steps in [2_000, 20_000] {
            let workload = Workload::new(mix, metrics, steps);
            costs.push(measure(format!("{name}: series of {steps}"), &workload, workload.value_bits, arrays));
        }
    }
    for cost in &costs {
        if json {
            cost.print_json();
        } else {
            cost.print();
        }
    }
}

/// Feeds a workload to an encoder.
type Feed = fn(&Workload, &mut StreamEncoder);

fn define(workload: &Workload, encoder: &mut StreamEncoder) {
    for (id, name) in workload.names.iter().enumerate() {
        encoder.push(&Record::Name { id: id as u32, name }, 0).unwrap();
    }
    let names: Vec<u32> = (0..workload.metrics as u32).collect();
    encoder.push(&Record::KeySet { id: 0, names: &names }, 0).unwrap();
}

/// One `log()` call a step.
fn rows(workload: &Workload, encoder: &mut StreamEncoder) {
    for (t, values) in workload.rows.chunks_exact(workload.metrics).enumerate() {
        let (step, time_ms) = (t as i64, workload.times[t]);
        let seq = encoder.last_seq() + 1;
        encoder.push(&Record::Row { seq, time_ms, step, keyset: 0, values }, 0).unwrap();
    }
}

/// One `log_array()` call a metric.
fn arrays(workload: &Workload, encoder: &mut StreamEncoder) {
    let steps: Vec<i64> = (0..workload.steps as i64).collect();
    for (name, values) in workload.columns.chunks_exact(workload.steps).enumerate() {
        let seq = encoder.last_seq() + 1;
        let record = Record::Array { seq, time_ms: workload.times[0], name: name as u32, steps: &steps, values };
        encoder.push(&record, 0).unwrap();
    }
}

fn measure(shape: String, workload: &Workload, bound_bits: f64, feed: Feed) -> Cost {
    let points = workload.metrics * workload.steps;
    let repeat = 300_000 / points + 1;
    let limits = BatchLimits { max_points: usize::MAX, max_raw_bytes: usize::MAX };
    let (mut encode, mut floor, mut decode, mut build, mut copy) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    let (mut bytes, mut floor_bytes) = (0, 0);
    let mut encoder = StreamEncoder::new(limits);
    define(workload, &mut encoder);
    // The first batch carries the names; what is measured is one of the many that follow.
    feed(workload, &mut encoder);
    let first = encoder.finish().unwrap().unwrap();
    let mut zstd = zstd::bulk::Compressor::new(1).unwrap();
    let mut shuffled = Vec::new();
    let mut frame = Vec::with_capacity(zstd::zstd_safe::compress_bound(8 * points));
    let key = WriterKey { run: 1, attempt: 1, rank: 0, writer: WriterId::new(0, [0; 10]) };
    for _ in 0..7 {
        let begin = Instant::now();
        for _ in 0..repeat {
            shuffle(&workload.columns, &mut shuffled);
            frame.clear();
            floor_bytes = zstd.compress_to_buffer(&shuffled, &mut frame).unwrap();
        }
        floor = floor.min(nanos(begin, repeat * points));

        let mut batches = Vec::new();
        let begin = Instant::now();
        for _ in 0..repeat {
            feed(workload, &mut encoder);
            batches.push(encoder.finish().unwrap().unwrap());
        }
        encode = encode.min(nanos(begin, repeat * points));
        bytes = batches[0].bytes.len();

        let mut decoder = decoder(&first);
        let mut decoded = Vec::new();
        let begin = Instant::now();
        for batch in &batches {
            decoded.push(decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes).unwrap());
        }
        decode = decode.min(nanos(begin, repeat * points));

        let parts: Vec<_> = decoded.iter().map(|batch| (&key, batch, 0)).collect();
        let begin = Instant::now();
        let block = black_box(block::build(&parts, 0));
        build = build.min(nanos(begin, repeat * points));
        let begin = Instant::now();
        black_box(block.pieces.concat());
        copy = copy.min(nanos(begin, repeat * points));
    }
    let per_value = |n: usize| n as f64 / points as f64;
    Cost {
        shape,
        bound: bound_bits / 8.0 / points as f64,
        bytes: per_value(bytes),
        floor_bytes: per_value(floor_bytes),
        encode_ns: encode,
        floor_ns: floor,
        decode_ns: decode,
        block_ns: build,
        copy_ns: copy,
    }
}

fn decoder(first: &stepline_core::batch::EncodedBatch) -> StreamDecoder {
    let limits = DecodeLimits {
        max_batch_bytes: usize::MAX,
        max_points: usize::MAX,
        max_decoded_bytes: usize::MAX / 2,
        ..Default::default()
    };
    let mut decoder = StreamDecoder::new(limits);
    decoder.decode(first.first_seq, first.last_seq, &first.bytes).unwrap();
    decoder
}

/// The floor: all lowest bytes of the matrix, then all second ones, and so on.
fn shuffle(columns: &[f64], out: &mut Vec<u8>) {
    out.clear();
    for plane in 0..8 {
        out.extend(columns.iter().map(|v| (v.to_bits() >> (8 * plane)) as u8));
    }
}

fn nanos(begin: Instant, points: usize) -> f64 {
    begin.elapsed().as_nanos() as f64 / points as f64
}

impl Cost {
    fn print(&self) {
        println!(
            "{:28} {:5.2} B a value = {:4.2} x the entropy of {:4.2} B (shuffle + zstd 1: {:4.2} x) | encode {:5.1} ns a point = {:4.2} x \
             the floor of {:4.1} ns | decode {:4.1} ns | block {:4.1} ns = {:4.2} x its copy",
            self.shape,
            self.bytes,
            self.bytes / self.bound,
            self.bound,
            self.floor_bytes / self.bound,
            self.encode_ns,
            self.encode_ns / self.floor_ns,
            self.floor_ns,
            self.decode_ns,
            self.block_ns,
            self.block_ns / self.copy_ns
        );
    }

    fn print_json(&self) {
        let line = serde_json::json!({
            "shape": self.shape,
            "bytes_per_value": self.bytes,
            "entropy_bytes_per_value": self.bound,
            "bytes_ratio": self.bytes / self.bound,
            "floor_bytes_ratio": self.floor_bytes / self.bound,
            "encode_ns": self.encode_ns,
            "encode_ratio": self.encode_ns / self.floor_ns,
            "decode_ns": self.decode_ns,
            "block_ns": self.block_ns,
            "block_copy_ratio": self.block_ns / self.copy_ns,
        });
        println!("{line}");
    }
}
