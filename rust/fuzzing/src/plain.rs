//! The protobuf encoding of a batch: as bytes when the first byte is even, as columns that nearly fit together when it is odd.

use arbitrary::{Arbitrary, Unstructured};
use prost::Message;
use stepline_core::batch::plain::{self, PlainColumns};
use stepline_core::batch::StreamDecoder;
use stepline_wire::v1::PlainBatch;

use crate::judge::{self, LIMITS, MEMORY};
use crate::memory::bounded;

#[derive(Arbitrary)]
struct Point {
    metric: u8,
    odd: u8,
    step: i64,
    time_ms: i32,
    value: f64,
}

pub fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let batch = if kind % 2 == 0 { PlainBatch::decode(rest).ok() } else { columns(rest) };
    let Some(batch) = batch else { return };
    let (first, last) = (batch.seq.first().copied().unwrap_or(1), batch.seq.last().copied().unwrap_or(1));
    let columns = PlainColumns {
        metrics: &batch.metrics,
        metric: &batch.metric,
        seq: &batch.seq,
        step: &batch.step,
        time_ms: &batch.time_ms,
        value: &batch.value,
    };
    let mut decoder = StreamDecoder::new(LIMITS);
    if let Ok(decoded) = bounded(MEMORY, || plain::decode(&mut decoder, first, last, columns)) {
        judge::accepted(&decoded);
    }
}

fn columns(data: &[u8]) -> Option<PlainBatch> {
    let mut u = Unstructured::new(data);
    let names: Vec<u8> = (0..u.int_in_range(0..=8).ok()?).map(|_| u.arbitrary()).collect::<Result<_, _>>().ok()?;
    let mut batch = PlainBatch { metrics: names.iter().map(|n| format!("m{n}")).collect(), ..Default::default() };
    let mut seq = u64::from(u.arbitrary::<u16>().ok()?);
    while let Ok(point) = Point::arbitrary(&mut u) {
        // Mostly the next sequence or the same one.
        seq = match point.odd {
            0 => seq.wrapping_sub(1),
            1 => seq.wrapping_add(2),
            other => seq.wrapping_add(u64::from(other % 2)),
        };
        batch.metric.push(u32::from(point.metric) % (names.len() as u32 + 1));
        batch.seq.push(seq);
        batch.step.push(point.step);
        batch.time_ms.push(i64::from(point.time_ms));
        batch.value.push(point.value);
        if u.is_empty() {
            break;
        }
    }
    Some(batch)
}
