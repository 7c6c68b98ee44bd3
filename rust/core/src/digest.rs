//! Checksums of points whose order does not matter, so that a spool and a store can be compared range by range.
//!
//! A point counts as SipHash-2-4 with a zero key over its sequence, the id of its metric, step, time in ms and the bits of its value,
//! 8 little-endian bytes each. `proto/stepline/v1/audit.proto` has the same words; the service computes it in SQL.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::id::siphash64;
use crate::record::Record;
use crate::siphash::hash_rows;
use crate::spool::{SpoolError, SpoolReader};

/// More ranges at a time are refused.
pub const MAX_RANGES: u64 = 4_096;

/// What is known of some points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub points: u64,
    /// Different sequences among them.
    pub sequences: u64,
    /// Of the hashes of the points, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    fn add(&mut self, hash: u64) {
        self.points += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// A point that is a sequence of its own.
    fn count(&mut self, hash: u64) {
        self.sequences += 1;
        self.add(hash);
    }
}

/// What one point counts as.
pub fn point_hash(seq: u64, metric: u64, step: i64, time_ms: i64, value: f64) -> u64 {
    let mut hash = 0;
    hash_rows(1, |_| [seq, metric, step as u64, time_ms as u64, value.to_bits()], |_, found| hash = found);
    hash
}

/// What a spool holds of a range of sequences.
#[derive(Debug, Default)]
pub struct Digests {
    /// By the number of the range, from 0; ranges without points are left out.
    pub ranges: BTreeMap<u64, Digest>,
    /// By name of the metric, over all ranges, when it was asked for.
    pub metrics: BTreeMap<String, Digest>,
    /// Sequences of the range that were logged and cannot be read: (first, last).
    pub lost: Vec<(u64, u64)>,
    /// What is damaged, for people.
    pub damage: Vec<String>,
}

/// What is asked: the sequences `first ..= last` in ranges of `width`.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub first: u64,
    pub last: u64,
    pub width: u64,
}

impl Span {
    fn range_of(&self, seq: u64) -> Option<u64> {
        (self.first..=self.last).contains(&seq).then(|| (seq - self.first) / self.width.max(1))
    }
}

/// Reads the spool at `dir`, also while it is written.
pub fn digests(dir: &Path, span: Span, by_metric: bool) -> Result<Digests, SpoolError> {
    let mut reader = SpoolReader::open(dir)?;
    reader.seek(span.first.saturating_sub(1), u64::MAX)?;
    let mut walk = Walk { span, by_metric, names: HashMap::new(), keysets: HashMap::new(), out: Digests::default() };
    // None until the first record says where reading began.
    let mut cursor = None;
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                if let Some((first, last)) = record.seqs() {
                    if first > span.last {
                        walk.lose(cursor, span.last);
                        break;
                    }
                    walk.lose(cursor, first.saturating_sub(1));
                    cursor = Some(last);
                }
                walk.take(&record);
            }
            Ok(None) => break,
            Err(e) if e.is_corrupt() => {
                // What was before the damage stands; whatever begins behind it shows what is lost.
                cursor = cursor.or(Some(span.first.saturating_sub(1)));
                walk.out.damage.push(e.to_string());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(walk.out)
}

struct Walk {
    span: Span,
    by_metric: bool,
    names: HashMap<u32, Name>,
    keysets: HashMap<u32, Vec<Name>>,
    out: Digests,
}

#[derive(Clone)]
struct Name {
    metric: u64,
    /// Empty unless it is asked for.
    text: Arc<str>,
}

impl Walk {
    /// Everything after `cursor` up to `until` was jumped over.
    fn lose(&mut self, cursor: Option<u64>, until: u64) {
        let Some(cursor) = cursor else { return };
        let (first, last) = ((cursor + 1).max(self.span.first), until.min(self.span.last));
        if first <= last {
            self.out.lost.push((first, last));
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        match *record {
            Record::Name { id, name } => {
                let text = if self.by_metric { name.into() } else { Arc::default() };
                self.names.insert(id, Name { metric: siphash64(name), text });
            }
            Record::KeySet { id, names } => {
                self.keysets.insert(id, self.named(names));
            }
            Record::Row { seq, time_ms, step, keyset, values } => {
                let names = self.keysets.remove(&keyset).unwrap_or_default();
                self.row(seq, time_ms, step, &names, values);
                self.keysets.insert(keyset, names);
            }
            Record::Sparse { seq, time_ms, step, names, values } => {
                self.row(seq, time_ms, step, &self.named(names), values);
            }
            Record::Array { seq, time_ms, name, steps, values } => {
                let Some(name) = self.names.get(&name).cloned() else { return };
                let point =
                    |i: usize| [seq + i as u64, name.metric, steps[i] as u64, time_ms as u64, values[i].to_bits()];
                hash_rows(values.len(), point, |i, hash| {
                    let Some(range) = self.span.range_of(seq + i as u64) else { return };
                    self.out.ranges.entry(range).or_default().count(hash);
                    if self.by_metric {
                        self.out.metrics.entry(name.text.to_string()).or_default().count(hash);
                    }
                });
            }
            Record::Control { .. } => {}
        }
    }

    fn named(&self, ids: &[u32]) -> Vec<Name> {
        ids.iter().filter_map(|id| self.names.get(id)).cloned().collect()
    }

    fn row(&mut self, seq: u64, time_ms: i64, step: i64, names: &[Name], values: &[f64]) {
        let Some(range) = self.span.range_of(seq) else { return };
        let Digests { ranges, metrics, .. } = &mut self.out;
        let digest = ranges.entry(range).or_default();
        digest.sequences += 1;
        let point = |i: usize| [seq, names[i].metric, step as u64, time_ms as u64, values[i].to_bits()];
        hash_rows(names.len().min(values.len()), point, |i, hash| {
            digest.add(hash);
            if self.by_metric {
                metrics.entry(names[i].text.to_string()).or_default().count(hash);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{SpoolMeta, SpoolWriter, WriterOptions};

    /// The service's expression of these points gives the same numbers; see tests/unit/ingest/test_digests.py.
    #[test]
    fn the_hash_of_a_point_is_fixed() {
        assert_eq!(point_hash(1, siphash64("loss"), 0, 0, 0.0), FIRST);
        assert_eq!(point_hash(7, siphash64("größe"), -5, 1_700_000_000_123, f64::NAN), SECOND);
    }

    const FIRST: u64 = 6_123_742_316_264_357_874;
    const SECOND: u64 = 7_978_571_821_534_182_043;

    #[test]
    fn ranges_add_up_to_the_whole() {
        let root = tempfile::tempdir().unwrap();
        let meta = SpoolMeta { run_id: "r".into(), ..SpoolMeta::default() };
        let options = WriterOptions { segment_bytes: 4096, ..WriterOptions::default() };
        let mut writer = SpoolWriter::create(root.path(), meta, options).unwrap();
        let dir = writer.dir().to_owned();
        let ids = [writer.name_id("a").unwrap(), writer.name_id("b").unwrap()];
        for step in 0..500 {
            writer.append_sparse(&ids, step, step, &[step as f64, 1.0]).unwrap();
        }
        let whole = digests(&dir, Span { first: 1, last: 500, width: 500 }, true).unwrap();
        assert_eq!(whole.ranges.len(), 1);
        assert_eq!((whole.ranges[&0].points, whole.ranges[&0].sequences), (1_000, 500));
        assert!(whole.lost.is_empty() && whole.damage.is_empty());
        for width in [1, 7, 64] {
            let cut = digests(&dir, Span { first: 1, last: 500, width }, false).unwrap();
            let sum = cut.ranges.values().fold(0u64, |sum, digest| sum.wrapping_add(digest.sum));
            assert_eq!(sum, whole.ranges[&0].sum);
            assert_eq!(cut.ranges.len() as u64, 500u64.div_ceil(width));
        }
        let metrics = whole.metrics.values().fold(0u64, |sum, digest| sum.wrapping_add(digest.sum));
        assert_eq!(metrics, whole.ranges[&0].sum);
    }
}
