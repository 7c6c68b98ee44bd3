//! What must hold for every batch that a decoder accepted.

use std::collections::BTreeMap;

use stepline_core::batch::{BatchLimits, DecodeLimits, DecodedBatch, Push, StreamDecoder, StreamEncoder};
use stepline_core::block::{Plan, WriterKey};
use stepline_core::id::{siphash64, WriterId};
use stepline_core::record::Record;

/// Small, so that a limit is met often.
pub const LIMITS: DecodeLimits = DecodeLimits {
    max_batch_bytes: 1 << 18,
    max_points: 5_000,
    max_decoded_bytes: 1 << 18,
    max_name_bytes: 64,
    max_metrics: 500,
};

/// Of one decode: the batch itself, and what it takes to read it.
pub const MEMORY: usize = 4 * LIMITS.max_decoded_bytes;

/// (seq, metric, step, time, bits of the value)
pub type Entry = (u64, u64, i64, i64, u64);

/// The points of a batch, sorted.
pub fn entries(batch: &DecodedBatch) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        batch.points().map(|p| (p.seq, p.metric, p.step, p.time_ms, p.value.to_bits())).collect();
    entries.sort_unstable();
    entries
}

/// Checks the invariants of an accepted batch, that it becomes a block, and that encoding it again loses nothing.
pub fn accepted(batch: &DecodedBatch) {
    let entries = entries(batch);
    assert_eq!(entries.len(), batch.points, "the batch has other points than it says");
    assert!(batch.points <= LIMITS.max_points);
    // Key sets are shared with the stream and new names are bounded with it; the rest is the decoded batch.
    assert!(entries.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1)), "a point came twice");
    let mut seqs: Vec<u64> = entries.iter().map(|entry| entry.0).collect();
    seqs.dedup();
    assert!(seqs.iter().copied().eq(batch.first_seq..=batch.last_seq), "the sequences have a hole");
    becomes_a_block(batch);
    // A plain batch may give the points of one sequence different steps, which no record can say.
    if entries.chunk_by(|a, b| a.0 == b.0).all(|row| row.iter().all(|p| (p.2, p.3) == (row[0].2, row[0].3))) {
        survives_encoding(&entries);
    }
}

fn becomes_a_block(batch: &DecodedBatch) {
    let key = WriterKey { run: 1, attempt: 1, rank: 0, writer: WriterId([7; 16]) };
    let middle = batch.first_seq + (batch.last_seq - batch.first_seq) / 2;
    for after in [0, middle, batch.last_seq] {
        let parts = [(&key, batch, after)];
        let plan = Plan::new(&parts, 0);
        assert_eq!(plan.rows(), batch.points().filter(|point| point.seq > after).count());
        for piece in 0..plan.pieces() {
            let mut bytes = Vec::new();
            assert!(plan.write_piece(piece, &mut bytes).is_ok());
            assert_eq!(bytes.len(), plan.piece_len(piece));
        }
    }
}

/// Encodes the points under names of our own, since a decoded batch keeps only their ids, and compares what comes back.
fn survives_encoding(entries: &[Entry]) {
    let mut names: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
    let mut encoder = StreamEncoder::new(BatchLimits { max_points: LIMITS.max_points, max_raw_bytes: 1 << 18 });
    for &(_, metric, ..) in entries {
        let next = names.len() as u32;
        names.entry(metric).or_insert_with(|| {
            let name = format!("{metric:x}");
            assert!(encoder.push(&Record::Name { id: next, name: &name }, 0).is_ok());
            (next, siphash64(&name))
        });
    }
    let mut batches = Vec::new();
    for row in entries.chunk_by(|a, b| a.0 == b.0) {
        let (seq, _, step, time_ms, _) = row[0];
        let ids: Vec<u32> = row.iter().map(|entry| names[&entry.1].0).collect();
        let values: Vec<f64> = row.iter().map(|entry| f64::from_bits(entry.4)).collect();
        let record = Record::Sparse { seq, time_ms, step, names: &ids, values: &values };
        while let Ok(Push::Full { .. }) = encoder.push(&record, 0) {
            batches.extend(encoder.finish().ok().flatten());
        }
    }
    batches.extend(encoder.finish().ok().flatten());
    // Other cuts and other sections than before may need more memory than the limits of the first decoder.
    let mut decoder = StreamDecoder::new(DecodeLimits::default());
    let mut again = Vec::new();
    for batch in batches {
        match decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes) {
            Ok(decoded) => again.extend(self::entries(&decoded)),
            Err(error) => unreadable(&error),
        }
    }
    again.sort_unstable();
    let mut wanted: Vec<Entry> = entries.iter().map(|&(s, m, p, t, v)| (s, names[&m].1, p, t, v)).collect();
    wanted.sort_unstable();
    assert!(again == wanted, "what was encoded again came back as something else");
}

/// Our own encoder made this.
pub fn unreadable(error: &dyn std::error::Error) {
    assert!(error.to_string().is_empty(), "an encoded batch cannot be read: {error}");
}
