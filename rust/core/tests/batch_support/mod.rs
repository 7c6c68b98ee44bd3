//! Record streams that a test owns, and the naive model of what must come out of them: one entry a point.

#![allow(dead_code)] // each test takes what it needs

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use stepline_core::batch::{BatchLimits, DecodedBatch, EncodedBatch, Push, StreamEncoder};
use stepline_core::id::siphash64;
use stepline_core::record::Record;

#[derive(Clone, Debug)]
pub enum Call {
    Row { time_ms: i64, step: i64, keyset: usize, values: Vec<f64> },
    Sparse { time_ms: i64, step: i64, names: Vec<u32>, values: Vec<f64> },
    Array { time_ms: i64, name: u32, steps: Vec<i64>, values: Vec<f64> },
}

/// What one writer logs, from sequence 1 on.
#[derive(Clone, Debug)]
pub struct Log {
    pub names: Vec<String>,
    pub keysets: Vec<Vec<u32>>,
    pub calls: Vec<Call>,
}

/// (seq, metric, step, time, bits of the value)
pub type Entry = (u64, u64, i64, i64, u64);

impl Call {
    pub fn sequences(&self) -> u64 {
        match self {
            Call::Row { .. } | Call::Sparse { .. } => 1,
            Call::Array { values, .. } => values.len() as u64,
        }
    }

    fn record(&self, seq: u64) -> Record<'_> {
        match self {
            Call::Row { time_ms, step, keyset, values } => {
                Record::Row { seq, time_ms: *time_ms, step: *step, keyset: *keyset as u32, values }
            }
            Call::Sparse { time_ms, step, names, values } => {
                Record::Sparse { seq, time_ms: *time_ms, step: *step, names, values }
            }
            Call::Array { time_ms, name, steps, values } => {
                Record::Array { seq, time_ms: *time_ms, name: *name, steps, values }
            }
        }
    }
}

impl Log {
    pub fn last_seq(&self) -> u64 {
        self.calls.iter().map(Call::sequences).sum()
    }

    /// Every point above `after`, sorted.
    pub fn entries(&self, after: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut seq = 1;
        let metric = |name: u32| siphash64(&self.names[name as usize]);
        for call in &self.calls {
            match call {
                Call::Row { time_ms, step, keyset, values } => {
                    let names = &self.keysets[*keyset];
                    entries
                        .extend(names.iter().zip(values).map(|(n, v)| (seq, metric(*n), *step, *time_ms, v.to_bits())));
                }
                Call::Sparse { time_ms, step, names, values } => {
                    entries
                        .extend(names.iter().zip(values).map(|(n, v)| (seq, metric(*n), *step, *time_ms, v.to_bits())));
                }
                Call::Array { time_ms, name, steps, values } => {
                    let points = (seq..).zip(steps).zip(values);
                    entries.extend(points.map(|((seq, step), v)| (seq, metric(*name), *step, *time_ms, v.to_bits())));
                }
            }
            seq += call.sequences();
        }
        entries.retain(|entry| entry.0 > after);
        entries.sort_unstable();
        entries
    }

    /// Pushes everything as the uploader does and returns the batches.
    pub fn encode(&self, limits: BatchLimits, after: u64) -> Vec<EncodedBatch> {
        let mut encoder = StreamEncoder::new(limits);
        for (id, name) in self.names.iter().enumerate() {
            encoder.push(&Record::Name { id: id as u32, name }, after).unwrap();
        }
        for (id, names) in self.keysets.iter().enumerate() {
            encoder.push(&Record::KeySet { id: id as u32, names }, after).unwrap();
        }
        let mut batches = Vec::new();
        let mut seq = 1;
        for call in &self.calls {
            let record = call.record(seq);
            while let Push::Full { .. } = encoder.push(&record, after).unwrap() {
                batches.push(encoder.finish().unwrap().expect("a full batch holds something"));
            }
            seq += call.sequences();
        }
        batches.extend(encoder.finish().unwrap());
        batches
    }
}

/// The points of a batch, sorted.
pub fn entries(batch: &DecodedBatch) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        batch.points().map(|p| (p.seq, p.metric, p.step, p.time_ms, p.value.to_bits())).collect();
    entries.sort_unstable();
    entries
}

pub fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0i64..1_000, 1 => any::<i64>(), 1 => select(vec![i64::MIN, i64::MAX, -1, 0])]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_750_000_000_000i64..1_750_000_100_000, 1 => any::<i64>()]
}

pub fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => any::<f32>().prop_map(f64::from),
        3 => (-1_000i64..1_000).prop_map(|i| i as f64),
        2 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(0.25),
        1 => select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MIN_POSITIVE, f64::MAX]),
        1 => select(vec![0x7ff0_0000_0000_0001u64, 0xfff8_0000_2000_0001, 0x7ff0_0000_2000_0000]).prop_map(f64::from_bits),
    ]
}

/// Values of one column: mixed, or all of one sort, so that every way of coding is taken.
fn values(len: usize) -> BoxedStrategy<Vec<f64>> {
    prop_oneof![
        vec(any_value(), len),
        vec((0.0f32..1.0).prop_map(f64::from), len),
        any_value().prop_map(move |v| vec![v; len]),
        (any::<i32>(), any::<i16>())
            .prop_map(move |(a, b)| { (0..len).map(|i| f64::from(a) + f64::from(b) * i as f64).collect() }),
    ]
    .boxed()
}

fn row(keysets: Vec<Vec<u32>>) -> impl Strategy<Value = Call> {
    (any_time(), any_step(), 0..keysets.len()).prop_flat_map(move |(time_ms, step, keyset)| {
        values(keysets[keyset].len()).prop_map(move |values| Call::Row { time_ms, step, keyset, values })
    })
}

fn sparse(names: u32) -> impl Strategy<Value = Call> {
    let some = subsequence((0..names).collect::<Vec<_>>(), 1..=names as usize).prop_shuffle();
    (any_time(), any_step(), some).prop_flat_map(|(time_ms, step, names)| {
        values(names.len()).prop_map(move |values| Call::Sparse { time_ms, step, names: names.clone(), values })
    })
}

fn array(names: u32) -> impl Strategy<Value = Call> {
    let len = prop_oneof![8 => 1usize..40, 1 => 990usize..1_300];
    (any_time(), 0..names, len).prop_flat_map(|(time_ms, name, len)| {
        let steps = prop_oneof![
            vec(any_step(), len),
            any::<i32>().prop_map(move |s| (0..len as i64).map(|i| i + i64::from(s)).collect())
        ];
        (steps, values(len)).prop_map(move |(steps, values)| Call::Array { time_ms, name, steps, values })
    })
}

/// A log with rows of several key sets, sparse rows and arrays, in any order.
pub fn any_log() -> impl Strategy<Value = Log> {
    (1u32..9).prop_flat_map(|names| {
        let keyset = subsequence((0..names).collect::<Vec<_>>(), 1..=names as usize).prop_shuffle();
        vec(keyset, 1..4).prop_flat_map(move |keysets| {
            let call = prop_oneof![6 => row(keysets.clone()), 2 => sparse(names), 1 => array(names)];
            let keysets = keysets.clone();
            vec(call, 1..60).prop_map(move |calls| Log {
                names: (0..names).map(|n| format!("metric/{n}/µ")).collect(),
                keysets: keysets.clone(),
                calls,
            })
        })
    })
}
