//! A block holds exactly the points above each batch's mark, in ClickHouse's Native format, sorted by the key of the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on stops

mod batch_support;

use batch_support::{any_log, Entry, Log};
use proptest::prelude::*;
use stepline_core::batch::{BatchLimits, DecodeLimits, DecodedBatch, StreamDecoder};
use stepline_core::block::{self, Block, WriterKey};
use stepline_core::id::WriterId;

/// One row of the block: key columns, then the entry.
type Row = (u64, u32, u32, u128, u32, Entry);

/// Reads a block as the database does, without any knowledge of how it was made.
fn parse(block: &Block) -> Vec<Row> {
    let bytes = block.pieces.concat();
    let mut at = 0;
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = bytes[*at];
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    if bytes.is_empty() {
        return Vec::new();
    }
    assert_eq!(varint(&mut at), 10);
    let rows = varint(&mut at);
    assert_eq!(rows, block.rows);
    let columns = [
        ("run", "UInt64", 8),
        ("metric", "UInt64", 8),
        ("rank", "UInt32", 4),
        ("attempt", "UInt32", 4),
        ("step", "Int64", 8),
        ("time", "DateTime64(3)", 8),
        ("value", "Float64", 8),
        ("writer", "UInt128", 16),
        ("seq", "UInt64", 8),
        ("received", "DateTime", 4),
    ];
    let mut values = vec![Vec::new(); rows];
    for (name, kind, size) in columns {
        for text in [name, kind] {
            let len = varint(&mut at);
            assert_eq!(&bytes[at..at + len], text.as_bytes());
            at += len;
        }
        for row in &mut values {
            let mut wide = [0; 16];
            wide[..size].copy_from_slice(&bytes[at..at + size]);
            row.push(u128::from_le_bytes(wide));
            at += size;
        }
    }
    assert_eq!(at, bytes.len());
    let row = |v: &Vec<u128>| {
        let entry = (v[8] as u64, v[1] as u64, v[4] as i64, v[5] as i64, v[6] as u64);
        (v[0] as u64, v[2] as u32, v[3] as u32, v[7], v[9] as u32, entry)
    };
    values.iter().map(row).collect()
}

fn key(run: u64, rank: u32) -> WriterKey {
    let mut id = [0; 16];
    id[0] = 0xab;
    id[15] = rank as u8;
    WriterKey { run, attempt: 2, rank, writer: WriterId(id) }
}

fn decode(log: &Log, max_points: usize) -> Vec<DecodedBatch> {
    let mut decoder = StreamDecoder::new(DecodeLimits::default());
    let batches = log.encode(BatchLimits { max_points, max_raw_bytes: 1 << 20 }, 0);
    batches.iter().map(|b| decoder.decode(b.first_seq, b.last_seq, &b.bytes).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_block_is_what_was_logged_above_the_marks(
        logs in prop::collection::vec((any_log(), 1usize..100, 0u64..80), 1..4),
    ) {
        let decoded: Vec<_> = logs.iter().map(|(log, max_points, _)| decode(log, *max_points)).collect();
        let keys: Vec<_> = (0..logs.len()).map(|i| key(i as u64 / 2, 9 - i as u32)).collect();
        let mut parts = Vec::new();
        let mut expected = Vec::new();
        for (((log, _, after), batches), key) in logs.iter().zip(&decoded).zip(&keys) {
            parts.extend(batches.iter().map(|batch| (key, batch, *after)));
            let writer = u128::from_be_bytes(key.writer.0);
            expected.extend(log.entries(*after).into_iter().map(|e| (key.run, key.rank, 2, writer, 77, e)));
        }
        let mut got = parse(&block::build(&parts, 77));
        // By run, metric and rank in any case.
        prop_assert!(got.is_sorted_by_key(|&(run, rank, _, _, _, entry)| (run, entry.1, rank)));
        got.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn rows_are_sorted_by_the_whole_key_when_steps_go_up() {
    let logs: Vec<Log> = (0..3).map(|_| rows(20, 30)).collect();
    let decoded: Vec<_> = logs.iter().map(|log| decode(log, 90)).collect();
    let keys: Vec<_> = (0..3).map(|i| key(5, 2 - i)).collect();
    let parts: Vec<_> =
        decoded.iter().zip(&keys).flat_map(|(batches, key)| batches.iter().map(move |batch| (key, batch, 3))).collect();
    let rows = parse(&block::build(&parts, 0));
    assert_eq!(rows.len(), 3 * 27 * 20);
    assert!(rows.is_sorted_by_key(|&(run, rank, attempt, _, _, (seq, metric, step, ..))| {
        (run, metric, rank, attempt, step, seq)
    }));
}

fn rows(width: u32, count: i64) -> Log {
    Log {
        names: (0..width).map(|n| format!("m{n}")).collect(),
        keysets: vec![(0..width).collect()],
        calls: (0..count)
            .map(|i| batch_support::Call::Row {
                time_ms: i,
                step: 10 * i,
                keyset: 0,
                values: (0..width).map(|k| f64::from(k) + i as f64).collect(),
            })
            .collect(),
    }
}

#[test]
fn pieces_are_as_long_as_the_plan_says() {
    let decoded = decode(&rows(7, 9), 1_000);
    let key = key(1, 0);
    let parts: Vec<_> = decoded.iter().map(|batch| (&key, batch, 0)).collect();
    let plan = block::Plan::new(&parts, 1);
    assert_eq!((plan.rows(), plan.pieces()), (63, 10));
    for piece in 0..plan.pieces() {
        let mut bytes = Vec::new();
        plan.write_piece(piece, &mut bytes).unwrap();
        assert_eq!(bytes.len(), plan.piece_len(piece));
    }
}

#[test]
fn nothing_above_the_marks_is_no_piece_at_all() {
    let decoded = decode(&rows(2, 3), 1_000);
    let key = key(1, 0);
    let block = block::build(&[(&key, &decoded[0], 3)], 1);
    assert_eq!((block.rows, block.pieces.len()), (0, 0));
}
