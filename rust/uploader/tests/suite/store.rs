//! What a service keeps, as simply as it can be said, and the oracle that judges it.

use std::collections::{BTreeMap, HashMap};

use stepline_core::batch::DecodedBatch;
use stepline_core::id::{siphash64, WriterId};
use stepline_wire::v1;

/// (sequence, metric) -> (step, time, bits of the value): one point of one writer.
pub type Points = BTreeMap<(u64, u64), (i64, i64, u64)>;

#[derive(Clone, Default)]
pub struct Store {
    writers: HashMap<WriterId, Writer>,
    pub events: Vec<Event>,
    pub attempts: HashMap<String, u32>,
    pub console: Vec<String>,
    pub heartbeats: Vec<Vec<v1::SignOfLife>>,
    /// What the client did against the protocol.
    pub violations: Vec<String>,
}

#[derive(Clone, Default)]
struct Writer {
    points: Points,
    settled: u64,
    gaps: Vec<(u64, u64)>,
    rejected: Vec<(u64, u64)>,
}

/// What else was done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Created { run_id: String, attempt: u32 },
    Updated { run_id: String, summary_json: String, stored: usize },
    Finished { run_id: String, attempt: u32, exit_code: i32, stored: usize },
    Vanished { run_id: String, attempt: u32, stored: usize },
    Gap { first: u64, last: u64 },
}

impl Store {
    /// The highest sequence that the service will not ask for again.
    pub fn settled(&self, writer: WriterId) -> u64 {
        self.writers.get(&writer).map_or(0, |w| w.settled)
    }

    /// Stores the points of a batch above what is stored, up to `last`.
    pub fn commit(&mut self, writer: WriterId, batch: &DecodedBatch, last: u64) {
        let kept = self.writers.entry(writer).or_default();
        for point in batch.points().filter(|p| kept.settled < p.seq && p.seq <= last) {
            let value = (point.step, point.time_ms, point.value.to_bits());
            if kept.points.insert((point.seq, point.metric), value).is_some() {
                self.violations.push(format!("sequence {} was sent twice in one batch", point.seq));
            }
        }
        kept.settled = kept.settled.max(last);
    }

    pub fn reject(&mut self, writer: WriterId, first: u64, last: u64) {
        let kept = self.writers.entry(writer).or_default();
        kept.rejected.push((first.max(kept.settled + 1), last));
        kept.settled = kept.settled.max(last);
    }

    pub fn gap(&mut self, writer: WriterId, last: u64) {
        let kept = self.writers.entry(writer).or_default();
        let first = kept.settled + 1;
        kept.gaps.push((first, last));
        kept.settled = last;
        self.events.push(Event::Gap { first, last });
    }

    pub fn stored(&self) -> usize {
        self.writers.values().map(|w| w.points.len()).sum()
    }

    /// Goes back to what a backup has.
    pub fn restore(&mut self, backup: Store) {
        *self = Store { violations: std::mem::take(&mut self.violations), ..backup };
    }

    /// Forgets everything, as a service does whose disk was lost.
    pub fn wipe(&mut self) {
        self.restore(Store::default());
    }

    /// Exactly these points of the writer are stored, each once.
    pub fn expect(&self, writer: WriterId, logged: &Points) {
        let nothing = Points::new();
        let stored = self.writers.get(&writer).map_or(&nothing, |w| &w.points);
        let missing: Vec<_> = logged.iter().filter(|(key, value)| stored.get(key) != Some(value)).take(3).collect();
        let invented: Vec<_> = stored.iter().filter(|(key, _)| !logged.contains_key(key)).take(3).collect();
        assert!(missing.is_empty(), "missing or changed: {missing:?}; {} of {} are stored", stored.len(), logged.len());
        assert!(invented.is_empty(), "never logged: {invented:?}");
        assert_eq!(self.violations, Vec::<String>::new());
    }

    /// The writers that have points of a metric, with the steps of those.
    pub fn series(&self, name: &str) -> Vec<(WriterId, Vec<i64>)> {
        let wanted = metric(name);
        let steps = |writer: &Writer| -> Vec<i64> {
            writer.points.iter().filter(|((_, metric), _)| *metric == wanted).map(|(_, (step, ..))| *step).collect()
        };
        let found = self.writers.iter().map(|(id, writer)| (*id, steps(writer)));
        found.filter(|(_, steps)| !steps.is_empty()).collect()
    }

    pub fn gaps(&self, writer: WriterId) -> Vec<(u64, u64)> {
        self.writers.get(&writer).map_or_else(Vec::new, |w| w.gaps.clone())
    }

    pub fn rejected(&self, writer: WriterId) -> Vec<(u64, u64)> {
        self.writers.get(&writer).map_or_else(Vec::new, |w| w.rejected.clone())
    }
}

pub fn metric(name: &str) -> u64 {
    siphash64(name)
}
