//! Bytes that are cut, damaged or made to hurt: an error of the right kind, no panic, and no memory beyond the limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on stops

mod batch_support;

use batch_support::{any_log, Call, Log};
use proptest::prelude::*;
use stepline_core::batch::{BatchError, BatchLimits, DecodeLimits, DecodedBatch, ErrorKind, StreamDecoder};
use stepline_core::codec::varint::put_u64;
use stepline_fuzzing::memory::{bounded, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LIMITS: DecodeLimits = DecodeLimits {
    max_batch_bytes: 1 << 20,
    max_points: 20_000,
    max_decoded_bytes: 1 << 20,
    max_name_bytes: 64,
    max_metrics: 1_000,
};

/// Decodes with a fresh decoder and checks the memory that it took.
fn decode(first: u64, last: u64, bytes: &[u8]) -> Result<DecodedBatch, BatchError> {
    bounded(3 * LIMITS.max_decoded_bytes, || StreamDecoder::new(LIMITS).decode(first, last, bytes))
}

fn kind(first: u64, last: u64, bytes: &[u8]) -> ErrorKind {
    decode(first, last, bytes).unwrap_err().kind()
}

/// Puts the right checksum over whatever the body says.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes[6..]).to_le_bytes();
    bytes[2..6].copy_from_slice(&checksum);
    bytes
}

/// A batch of one sequence with a meta stream written by hand.
fn craft(points: u64, meta: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, 0, 0];
    for v in [1, 0, points, meta.len() as u64] {
        put_u64(&mut bytes, v);
    }
    bytes.push(0);
    bytes.extend_from_slice(meta);
    bytes.extend_from_slice(body);
    seal(bytes)
}

fn varints(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|&v| put_u64(&mut out, v));
    out
}

/// Every kind of section, every stream, a long column.
fn sample() -> (u64, Vec<u8>) {
    let noise = |i: u64| f64::from((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32);
    let mut calls: Vec<Call> = (0..40)
        .map(|i| Call::Row {
            time_ms: 1_750_000_000_000 + 250 * i + i % 7,
            step: i,
            keyset: 0,
            values: (0..6).map(|k| noise(6 * i as u64 + k) / 3.0f64.powi(k as i32 % 3)).collect(),
        })
        .collect();
    calls.push(Call::Sparse { time_ms: 9, step: -4, names: vec![2, 7], values: vec![f64::NAN, -0.0] });
    calls.push(Call::Sparse { time_ms: 10, step: 4, names: vec![7], values: vec![f64::INFINITY] });
    calls.push(Call::Array {
        time_ms: 11,
        name: 6,
        steps: (0..1_500).collect(),
        values: (0..1_500).map(|i| (f64::from(i) * 0.37).floor() * 0.01).collect(),
    });
    let names = (0..8).map(|i| format!("name {i}")).collect();
    let log = Log { names, keysets: vec![(0..6).collect()], calls };
    let mut batches = log.encode(BatchLimits { max_points: 20_000, max_raw_bytes: 1 << 20 }, 0);
    assert_eq!(batches.len(), 1);
    let batch = batches.remove(0);
    assert!(decode(1, batch.last_seq, &batch.bytes).is_ok());
    (batch.last_seq, batch.bytes)
}

#[test]
fn cut_at_every_byte() {
    let (last, bytes) = sample();
    for len in 0..bytes.len() {
        assert!(decode(1, last, &bytes[..len]).is_err(), "cut at {len}");
        if len >= 6 {
            // Also with a checksum that fits what is left.
            assert!(decode(1, last, &seal(bytes[..len].to_vec())).is_err(), "cut at {len} and sealed");
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(kind(1, last, &seal(longer)), ErrorKind::Malformed);
}

#[test]
fn every_flipped_bit_is_found() {
    let (last, bytes) = sample();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let kind = kind(1, last, &flipped);
            let expected = if at < 2 { ErrorKind::Version } else { ErrorKind::Checksum };
            assert_eq!(kind, expected, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn damage_under_a_right_checksum_never_panics() {
    let (last, bytes) = sample();
    for at in 6..bytes.len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x40] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(batch) = decode(1, last, &seal(damaged)) {
                assert_eq!(batch.points().count(), batch.points);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_damage_under_a_right_checksum_never_panics(
        log in any_log(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for batch in log.encode(BatchLimits { max_points: 200, max_raw_bytes: 1 << 20 }, 0) {
            let mut bytes = batch.bytes;
            for (at, value) in &edits {
                let at = 6 + at.index(bytes.len() - 6);
                bytes[at] = *value;
            }
            if let Ok(decoded) = decode(batch.first_seq, batch.last_seq, &seal(bytes)) {
                prop_assert_eq!(decoded.points().count(), decoded.points);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 6..400), meta in any::<bool>()) {
        let bytes = if meta { craft(3, &bytes, &[]) } else { seal([vec![1, 0], bytes].concat()) };
        prop_assert!(decode(1, 1, &bytes).is_err());
    }
}

#[test]
fn versions_and_flags_of_the_future_are_named() {
    let (last, bytes) = sample();
    let mut newer = bytes.clone();
    newer[0] = 2;
    let error = decode(1, last, &newer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version);
    assert!(error.to_string().ends_with("send the plain encoding."), "{error}");
    let mut flagged = bytes;
    flagged[1] = 1;
    assert_eq!(kind(1, last, &flagged), ErrorKind::Version);
}

#[test]
fn the_envelope_must_agree() {
    let (last, bytes) = sample();
    for (first, last) in [(0, last), (2, last), (1, last + 1), (1, last - 1), (2, last + 1), (u64::MAX, 0)] {
        assert_eq!(kind(first, last, &bytes), ErrorKind::Sequence, "{first}..={last}");
    }
}

#[test]
fn sizes_that_lie_are_refused_before_they_are_allocated() {
    let huge = 1 << 40;
    let too_many_points = craft(20_001, &[], &[]);
    assert_eq!(kind(1, 1, &too_many_points), ErrorKind::Limit);
    // No names, one key set of 2^40 names.
    assert_eq!(kind(1, 1, &craft(5, &varints(&[0, 1, huge]), &[])), ErrorKind::Malformed);
    // 2^40 names.
    assert_eq!(kind(1, 1, &craft(5, &varints(&[huge]), &[])), ErrorKind::Malformed);
    // A name of 2^40 bytes.
    assert_eq!(kind(1, 1, &craft(5, &varints(&[1, huge]), &[])), ErrorKind::Limit);
    let name = [varints(&[1, 1]), b"x".to_vec()].concat();
    let keyset = [name.clone(), varints(&[1, 1, 0])].concat();
    // 2^40 sections; a dense section of 2^40 rows; a sparse one; an array of 2^40 points.
    let sections = [keyset.clone(), varints(&[huge])].concat();
    assert_eq!(kind(1, 1, &craft(5, &sections, &[])), ErrorKind::Truncated);
    let dense = [keyset.clone(), varints(&[1, 0, 0, huge])].concat();
    assert_eq!(kind(1, 1, &craft(5, &dense, &[])), ErrorKind::Limit);
    let sparse = [name.clone(), varints(&[0, 1, 1, huge, 1])].concat();
    assert_eq!(kind(1, 1, &craft(5, &sparse, &[])), ErrorKind::Limit);
    let columns = [name.clone(), varints(&[0, 1, 1, 5, huge])].concat();
    assert_eq!(kind(1, 1, &craft(5, &columns, &[])), ErrorKind::Limit);
    let array = [name, varints(&[0, 1, 2, 0, 0, 0, huge])].concat();
    assert_eq!(kind(1, 1, &craft(5, &array, &[])), ErrorKind::Limit);
    // A meta stream of 2^40 bytes.
    let mut meta = vec![1, 0, 0, 0, 0, 0];
    for v in [1, 0, 5, huge] {
        put_u64(&mut meta, v);
    }
    meta.extend_from_slice(&[1, 0]);
    assert_eq!(kind(1, 1, &seal(meta)), ErrorKind::Limit);
}

#[test]
fn a_decompression_bomb_stops_at_the_limits() {
    let bomb = zstd::bulk::compress(&vec![0u8; 200 << 20], 1).unwrap();
    assert!(bomb.len() < LIMITS.max_batch_bytes);
    for declared in [200 << 20, 1_000] {
        let mut bytes = vec![1, 0, 0, 0, 0, 0];
        for v in [1, 0, 5, declared] {
            put_u64(&mut bytes, v);
        }
        bytes.push(2);
        put_u64(&mut bytes, bomb.len() as u64);
        bytes.extend_from_slice(&bomb);
        let expected = if declared > 1_000 { ErrorKind::Limit } else { ErrorKind::Malformed };
        assert_eq!(kind(1, 1, &seal(bytes)), expected);
    }
}

#[test]
fn a_batch_or_name_above_its_limit_is_refused() {
    assert_eq!(kind(1, 1, &vec![1; LIMITS.max_batch_bytes + 1]), ErrorKind::Limit);
    let log = |name: String| Log {
        names: vec![name],
        keysets: vec![vec![0]],
        calls: vec![Call::Row { time_ms: 0, step: 0, keyset: 0, values: vec![1.0] }],
    };
    let wide = BatchLimits { max_points: 10, max_raw_bytes: 1 << 20 };
    for (name, expected) in [
        ("x".repeat(65), Some(ErrorKind::Limit)),
        (String::new(), Some(ErrorKind::Malformed)),
        ("a\0b".into(), Some(ErrorKind::Malformed)),
        ("µ".repeat(32), None),
    ] {
        let batch = &log(name).encode(wide, 0)[0];
        assert_eq!(decode(1, 1, &batch.bytes).err().map(|e| e.kind()), expected);
    }
    let many = Log {
        names: (0..1_001).map(|i| format!("{i}")).collect(),
        keysets: vec![(0..1_001).collect()],
        calls: vec![Call::Row { time_ms: 0, step: 0, keyset: 0, values: vec![1.0; 1_001] }],
    };
    let batch = &many.encode(BatchLimits { max_points: 2_000, max_raw_bytes: 1 << 20 }, 0)[0];
    assert_eq!(kind(1, 1, &batch.bytes), ErrorKind::Limit);
}

#[test]
fn a_name_defined_twice_is_refused() {
    let meta = [varints(&[2, 1]), b"x".to_vec(), varints(&[1]), b"x".to_vec()].concat();
    assert_eq!(kind(1, 1, &craft(5, &meta, &[])), ErrorKind::Malformed);
    let meta = [varints(&[1, 1]), b"x".to_vec(), varints(&[1, 2, 0, 1])].concat();
    assert_eq!(kind(1, 1, &craft(5, &meta, &[])), ErrorKind::Malformed, "a key set with a name twice");
}
