//! The plain encoding: points as parallel columns, one entry a point, that any client can write.

use std::sync::Arc;

use super::budget::Budget;
use super::decoded::{Layout, Section, Seqs, Times};
use super::{BatchError, DecodedBatch, StreamDecoder};

/// The fields of stepline.v1.PlainBatch.
#[derive(Clone, Copy, Debug)]
pub struct PlainColumns<'a> {
    pub metrics: &'a [String],
    pub metric: &'a [u32],
    pub seq: &'a [u64],
    pub step: &'a [i64],
    pub time_ms: &'a [i64],
    pub value: &'a [f64],
}

/// Checks the columns as a columnar batch is checked and turns them into the same form. `decoder` gives the limits and remembers
/// which names the stream has seen.
pub fn decode(
    decoder: &mut StreamDecoder,
    first_seq: u64,
    last_seq: u64,
    columns: PlainColumns<'_>,
) -> Result<DecodedBatch, BatchError> {
    let mark = decoder.definitions.mark();
    let mut batch = DecodedBatch { first_seq, last_seq, points: columns.value.len(), ..Default::default() };
    match read(decoder, columns, &mut batch) {
        Ok(()) => Ok(batch),
        Err(error) => {
            decoder.definitions.roll_back(mark, &batch.new_metrics);
            Err(error)
        }
    }
}

fn read(decoder: &mut StreamDecoder, columns: PlainColumns<'_>, batch: &mut DecodedBatch) -> Result<(), BatchError> {
    let points = columns.value.len();
    let lens = [columns.metric.len(), columns.seq.len(), columns.step.len(), columns.time_ms.len()];
    if lens.iter().any(|&len| len != points) {
        return Err(BatchError::malformed("the columns of a plain batch have different lengths"));
    }
    let limits = decoder.limits;
    let mut budget = Budget::new(limits);
    budget.points(points)?;
    budget.memory(columns.metrics.len(), std::mem::size_of::<Section>())?;
    budget.memory(points, 4 * 8)?;
    check_sequences(batch.first_seq, batch.last_seq, columns.seq)?;

    let mut ids = Vec::with_capacity(columns.metrics.len());
    for name in columns.metrics {
        ids.push(decoder.definitions.add(name, &limits, &mut batch.new_metrics)?);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(BatchError::malformed("a plain batch names a metric twice"));
    }

    for (metric, points) in group(columns.metric, &ids)? {
        let seqs: Vec<u64> = points.iter().map(|&i| columns.seq[i as usize]).collect();
        if seqs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(BatchError::malformed("a plain batch has two points of one metric with one sequence"));
        }
        batch.sections.push(Section {
            seqs: Seqs::List(seqs),
            steps: points.iter().map(|&i| columns.step[i as usize]).collect(),
            times: Times::List(points.iter().map(|&i| columns.time_ms[i as usize]).collect()),
            metrics: Arc::new([metric]),
            values: points.iter().map(|&i| columns.value[i as usize]).collect(),
            layout: Layout::Dense,
        });
    }
    Ok(())
}

/// The sequences begin and end as the envelope says and go up by nothing or one.
fn check_sequences(first_seq: u64, last_seq: u64, seqs: &[u64]) -> Result<(), BatchError> {
    if first_seq == 0 || seqs.first() != Some(&first_seq) || seqs.last() != Some(&last_seq) {
        return Err(BatchError::sequence(format_args!(
            "the points do not run from sequence {first_seq} to {last_seq} as the envelope says"
        )));
    }
    match seqs.windows(2).find(|pair| !matches!(pair[1].checked_sub(pair[0]), Some(0 | 1))) {
        Some(pair) => Err(BatchError::sequence(format_args!("sequence {} follows {}", pair[1], pair[0]))),
        None => Ok(()),
    }
}

/// The indexes of the points of each metric that has any, in their order.
fn group(metric: &[u32], ids: &[u64]) -> Result<Vec<(u64, Vec<u32>)>, BatchError> {
    let mut groups: Vec<(u64, Vec<u32>)> = ids.iter().map(|&id| (id, Vec::new())).collect();
    for (i, &m) in metric.iter().enumerate() {
        let group = groups.get_mut(m as usize);
        let (_, points) =
            group.ok_or_else(|| BatchError::unknown(format_args!("metric {m} is not in the batch's table")))?;
        points.push(u32::try_from(i).map_err(|_| BatchError::limit("a plain batch is too large"))?);
    }
    groups.retain(|(_, points)| !points.is_empty());
    Ok(groups)
}
