//! What comes out of the decoder is, bit for bit, what went into the encoder, however the batches are cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on stops

mod batch_support;

use batch_support::{any_log, entries, Call, Log};
use proptest::prelude::*;
use stepline_core::batch::{BatchLimits, DecodeLimits, ErrorKind, Push, StreamDecoder, StreamEncoder};
use stepline_core::record::Record;

const WIDE: BatchLimits = BatchLimits { max_points: usize::MAX, max_raw_bytes: usize::MAX };

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_point_comes_back_once(
        log in any_log(),
        max_points in prop_oneof![1usize..60, Just(usize::MAX)],
        max_raw_bytes in prop_oneof![200usize..4_000, Just(1 << 20)],
        after in prop_oneof![Just(0u64), 0u64..120],
    ) {
        let after = after.min(log.last_seq());
        let batches = log.encode(BatchLimits { max_points, max_raw_bytes }, after);
        let mut decoder = StreamDecoder::new(DecodeLimits::default());
        let (mut got, mut names) = (Vec::new(), Vec::new());
        let mut next = after + 1;
        for batch in &batches {
            prop_assert_eq!(batch.first_seq, next, "batches follow each other without a hole");
            next = batch.last_seq + 1;
            let decoded = decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes).unwrap();
            prop_assert_eq!(decoded.points, batch.points);
            let points = entries(&decoded);
            prop_assert_eq!(points.len(), batch.points);
            let single = batch.first_seq == batch.last_seq;
            prop_assert!(single || batch.points <= max_points);
            prop_assert!(single || batch.bytes.len() <= max_raw_bytes, "{} bytes", batch.bytes.len());
            got.extend(points);
            names.extend(decoded.new_metrics.iter().map(|(id, name)| (*id, name.to_string())));
        }
        prop_assert_eq!(next, log.last_seq() + 1);
        prop_assert_eq!(got, log.entries(after));
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len(), "a name is new once a stream");
    }
}

fn rows(n: u64) -> Log {
    Log {
        names: vec!["a".into(), "b".into()],
        keysets: vec![vec![0, 1], vec![1]],
        calls: (0..n)
            .map(|i| {
                let keyset = (i % 3 / 2) as usize;
                let values = vec![i as f64 * 0.1; 2 - keyset];
                Call::Row { time_ms: 1_000 * i as i64, step: i as i64, keyset, values }
            })
            .collect(),
    }
}

fn define(encoder: &mut StreamEncoder, log: &Log) {
    for (id, name) in log.names.iter().enumerate() {
        encoder.push(&Record::Name { id: id as u32, name }, 0).unwrap();
    }
    for (id, names) in log.keysets.iter().enumerate() {
        encoder.push(&Record::KeySet { id: id as u32, names }, 0).unwrap();
    }
}

#[test]
fn definitions_travel_once_a_stream() {
    let batches = rows(100).encode(BatchLimits { max_points: 40, max_raw_bytes: 1 << 20 }, 0);
    assert!(batches.len() > 3);
    let mut decoder = StreamDecoder::new(DecodeLimits::default());
    for (i, batch) in batches.iter().enumerate() {
        let decoded = decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes).unwrap();
        assert_eq!(decoded.new_metrics.len(), if i == 0 { 2 } else { 0 });
    }
    let mut fresh = StreamDecoder::new(DecodeLimits::default());
    let second = &batches[1];
    let error = fresh.decode(second.first_seq, second.last_seq, &second.bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownDefinition);
}

#[test]
fn a_restarted_encoder_sends_definitions_anew() {
    let log = rows(4);
    let mut encoder = StreamEncoder::new(WIDE);
    define(&mut encoder, &log);
    for round in 0..2 {
        for (seq, values) in [(1, [1.0, 2.0]), (2, [3.0, 4.0])] {
            let record = Record::Row { seq, time_ms: 0, step: 0, keyset: 0, values: &values };
            assert_eq!(encoder.push(&record, 0).unwrap(), Push::Taken);
        }
        let batch = encoder.finish().unwrap().unwrap();
        let decoded = StreamDecoder::new(DecodeLimits::default()).decode(1, 2, &batch.bytes).unwrap();
        assert_eq!(decoded.new_metrics.len(), 2, "round {round}");
        encoder.restart();
    }
}

#[test]
fn a_failed_decode_leaves_the_stream_as_it_was() {
    let batches = rows(30).encode(BatchLimits { max_points: 20, max_raw_bytes: 1 << 20 }, 0);
    let mut decoder = StreamDecoder::new(DecodeLimits::default());
    let first = &batches[0];
    // The envelope lies: found out only after the definitions were read.
    assert!(decoder.decode(first.first_seq, first.last_seq + 1, &first.bytes).is_err());
    let cut = DecodeLimits { max_points: 1, ..DecodeLimits::default() };
    assert!(StreamDecoder::new(cut).decode(first.first_seq, first.last_seq, &first.bytes).is_err());
    for batch in &batches {
        decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes).unwrap();
    }
}

#[test]
fn pushing_again_changes_nothing() {
    let log = rows(5);
    let mut encoder = StreamEncoder::new(WIDE);
    define(&mut encoder, &log);
    let record = Record::Row { seq: 1, time_ms: 0, step: 0, keyset: 1, values: &[1.0] };
    for _ in 0..3 {
        assert_eq!(encoder.push(&record, 0).unwrap(), Push::Taken);
    }
    assert_eq!((encoder.pending_points(), encoder.last_seq()), (1, 1));
}

#[test]
fn a_hole_or_an_unknown_definition_is_an_error_that_changes_nothing() {
    let log = rows(5);
    let mut encoder = StreamEncoder::new(WIDE);
    define(&mut encoder, &log);
    let row = |seq, keyset| Record::Row { seq, time_ms: 0, step: 0, keyset, values: &[1.0] };
    encoder.push(&row(7, 1), 6).unwrap();
    assert_eq!(encoder.push(&row(9, 1), 6).unwrap_err().kind(), ErrorKind::Sequence);
    assert_eq!(encoder.push(&row(8, 77), 6).unwrap_err().kind(), ErrorKind::UnknownDefinition);
    assert_eq!(encoder.push(&row(8, 0), 6).unwrap_err().kind(), ErrorKind::Malformed);
    encoder.push(&row(8, 1), 6).unwrap();
    let batch = encoder.finish().unwrap().unwrap();
    assert_eq!((batch.first_seq, batch.last_seq, batch.points), (7, 8, 2));
}

#[test]
fn a_row_with_a_name_twice_is_refused() {
    let mut encoder = StreamEncoder::new(WIDE);
    define(&mut encoder, &rows(1));
    let record = Record::Sparse { seq: 1, time_ms: 0, step: 0, names: &[0, 1, 0], values: &[1.0, 2.0, 3.0] };
    assert_eq!(encoder.push(&record, 0).unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(encoder.push(&Record::KeySet { id: 9, names: &[1, 1] }, 0).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn a_large_array_is_cut_into_batches() {
    let n = 10_000;
    let log = Log {
        names: vec!["x".into()],
        keysets: vec![vec![0]],
        calls: vec![Call::Array {
            time_ms: 5,
            name: 0,
            steps: (0..n).rev().collect(),
            values: (0..n).map(|i| i as f64 * 0.001).collect(),
        }],
    };
    let batches = log.encode(BatchLimits { max_points: 3_000, max_raw_bytes: 1 << 20 }, 500);
    assert_eq!(batches.iter().map(|b| b.points).collect::<Vec<_>>(), [3_000, 3_000, 3_000, 500]);
}

#[test]
fn memory_of_a_dense_batch_is_about_its_values() {
    let width = 1_000;
    let names: Vec<String> = (0..width).map(|i| format!("m{i}")).collect();
    let values: Vec<f64> = (0..width).map(|i| i as f64 * 0.3).collect();
    let calls = (0..20).map(|i| Call::Row { time_ms: i, step: i, keyset: 0, values: values.clone() }).collect();
    let log = Log { names, keysets: vec![(0..width as u32).collect()], calls };
    let batches = log.encode(BatchLimits { max_points: 10_000, max_raw_bytes: 1 << 20 }, 0);
    let mut decoder = StreamDecoder::new(DecodeLimits::default());
    for (i, batch) in batches.iter().enumerate() {
        let decoded = decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes).unwrap();
        if i > 0 {
            assert!(decoded.nbytes() < 9 * decoded.points, "{} bytes", decoded.nbytes());
        }
    }
}
