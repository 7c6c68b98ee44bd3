//! Records of any shape: their batches come back bit for bit. Then a few bytes of a batch are changed, within its unpacked
//! definitions too, and the checksum is made to fit: whatever the decoder says, the sound batch is read as before.

use arbitrary::{Arbitrary, Result, Unstructured};
use stepline_core::batch::{BatchLimits, EncodedBatch, Push, StreamDecoder, StreamEncoder};
use stepline_core::codec::stream;
use stepline_core::codec::varint::{put_u64, Reader};
use stepline_core::id::siphash64;
use stepline_core::record::Record;

use crate::columnar::sealed;
use crate::judge::{self, Entry, LIMITS, MEMORY};
use crate::memory::bounded;

const HEADER: usize = 6;

#[derive(Arbitrary, Debug)]
enum Values {
    Same(f64),
    Integers { start: i32, slope: i16 },
    Floats(f32),
    Bits(u64),
}

#[derive(Arbitrary, Debug)]
enum Call {
    Row { keyset: u8, step: i64, time_ms: i64, values: Values },
    Rows { keyset: u8, count: u8, step: i32, pause: i16, values: Values },
    Sparse { skip: u8, step: i64, time_ms: i64, values: Values },
    Array { name: u8, count: u16, step: i64, stride: i16, values: Values },
}

#[derive(Arbitrary, Debug)]
struct Edit {
    at: u16,
    kind: u8,
    byte: u8,
}

#[derive(Debug)]
struct Input {
    names: u8,
    keysets: Vec<u64>,
    max_points: usize,
    calls: Vec<Call>,
    edits: Vec<Edit>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let few = |u: &mut Unstructured<'a>, most: usize| u.int_in_range(0..=most);
        Ok(Input {
            names: u.int_in_range(1..=40)?,
            keysets: (0..few(u, 3)?).map(|_| u.arbitrary()).collect::<Result<_>>()?,
            max_points: usize::from(u.int_in_range(1..=2_500u16)?),
            edits: (0..few(u, 6)?).map(|_| u.arbitrary()).collect::<Result<_>>()?,
            calls: (0..few(u, 12)?).map(|_| u.arbitrary()).collect::<Result<_>>()?,
        })
    }
}

impl Values {
    fn take(&self, count: usize) -> Vec<f64> {
        (0..count as u64)
            .map(|i| match *self {
                Values::Same(value) => value,
                Values::Integers { start, slope } => f64::from(start) + f64::from(slope) * i as f64,
                Values::Floats(value) => f64::from(value * (i as f32 + 1.0)),
                Values::Bits(bits) => f64::from_bits(bits.wrapping_mul(2 * i + 1)),
            })
            .collect()
    }
}

pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(data)) else { return };
    let mut log = Log::new(&input);
    for call in &input.calls {
        log.call(call);
    }
    log.cut();
    let mut decoder = StreamDecoder::new(LIMITS);
    let mut found = Vec::new();
    for (number, batch) in log.batches.iter().enumerate() {
        if number == log.batches.len() / 2 && damage(&mut decoder, batch, &input.edits) {
            return;
        }
        match decoder.decode(batch.first_seq, batch.last_seq, &batch.bytes) {
            Ok(decoded) => found.extend(judge::entries(&decoded)),
            Err(error) => judge::unreadable(&error),
        }
    }
    found.sort_unstable();
    log.wanted.sort_unstable();
    assert!(found == log.wanted, "other points came back than were logged");
}

/// Decodes a changed copy of `batch`, and leaves the stream as it was. True when the copy was accepted: its definitions are those of
/// the stream then, and what follows means something else.
fn damage(decoder: &mut StreamDecoder, batch: &EncodedBatch, edits: &[Edit]) -> bool {
    let mut body = unpacked(&batch.bytes[HEADER..]);
    for edit in edits {
        let at = usize::from(edit.at) % body.len().max(1);
        match edit.kind % 4 {
            0 if at < body.len() => body[at] = edit.byte,
            1 if at < body.len() => body[at] = body[at].wrapping_add(1),
            2 if at < body.len() => drop(body.remove(at)),
            _ => body.insert(at, edit.byte),
        }
    }
    let changed = bounded(MEMORY, || decoder.decode(batch.first_seq, batch.last_seq, &sealed(&body)));
    changed.inspect(judge::accepted).is_ok()
}

/// The body with its definitions stored raw, where single bytes mean something.
fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(body);
    let mut out = Vec::new();
    let mut length = 0;
    for _ in 0..4 {
        let Ok(number) = reader.u64("the envelope") else { return body.to_vec() };
        put_u64(&mut out, number);
        length = number as usize;
    }
    let mut meta = Vec::new();
    if length == 0 || stream::get(&mut reader, length, "the meta stream", &mut meta).is_err() {
        return body.to_vec();
    }
    out.push(0);
    out.extend_from_slice(&meta);
    out.extend_from_slice(reader.rest());
    out
}

/// The calls of an input, encoded, and the points that must come back.
struct Log {
    encoder: StreamEncoder,
    names: Vec<u64>,
    keysets: Vec<Vec<u32>>,
    next: u64,
    points: usize,
    batches: Vec<EncodedBatch>,
    wanted: Vec<Entry>,
}

impl Log {
    fn new(input: &Input) -> Self {
        let limits = BatchLimits { max_points: input.max_points, max_raw_bytes: 1 << 16 };
        let mut encoder = StreamEncoder::new(limits);
        let mut names = Vec::new();
        for id in 0..u32::from(input.names) {
            let name = format!("name/{id}");
            assert!(encoder.push(&Record::Name { id, name: &name }, 0).is_ok());
            names.push(siphash64(&name));
        }
        let all = 0..u32::from(input.names);
        let mut keysets: Vec<Vec<u32>> = vec![all.clone().collect()];
        keysets.extend(input.keysets.iter().map(|bits| all.clone().filter(|id| bits >> id & 1 == 1).collect()));
        keysets.retain(|names| !names.is_empty());
        for (id, names) in keysets.iter().enumerate() {
            assert!(encoder.push(&Record::KeySet { id: id as u32, names }, 0).is_ok());
        }
        Log { encoder, names, keysets, next: 1, points: 0, batches: Vec::new(), wanted: Vec::new() }
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Row { keyset, step, time_ms, values } => self.row(*keyset, *step, *time_ms, values),
            Call::Rows { keyset, count, step, pause, values } => {
                for i in 0..i64::from(*count) {
                    self.row(*keyset, i64::from(*step) + i, i * i64::from(*pause), values);
                }
            }
            Call::Sparse { skip, step, time_ms, values } => {
                let names: Vec<u32> = (0..self.names.len() as u32).step_by(usize::from(*skip) + 1).collect();
                let values = values.take(names.len());
                let (seq, step, time_ms) = (self.next, *step, *time_ms);
                let metrics: Vec<u64> = names.iter().map(|&id| self.names[id as usize]).collect();
                let rows =
                    metrics.into_iter().zip(&values).map(|(metric, v)| (seq, metric, step, time_ms, v.to_bits()));
                self.push(&Record::Sparse { seq, time_ms, step, names: &names, values: &values }, rows.collect());
            }
            Call::Array { name, count, step, stride, values } => {
                let count = usize::from(*count % 1_500).max(1);
                let values = values.take(count);
                let steps: Vec<i64> =
                    (0..count as i64).map(|i| step.wrapping_add(i.wrapping_mul(i64::from(*stride)))).collect();
                let name = u32::from(*name) % self.names.len() as u32;
                let (seq, metric) = (self.next, self.names[name as usize]);
                let points = (seq..).zip(&steps).zip(&values).map(|((s, &step), v)| (s, metric, step, 5, v.to_bits()));
                let points = points.collect();
                self.push(&Record::Array { seq, time_ms: 5, name, steps: &steps, values: &values }, points);
            }
        }
    }

    fn row(&mut self, keyset: u8, step: i64, time_ms: i64, values: &Values) {
        let keyset = usize::from(keyset) % self.keysets.len();
        let metrics: Vec<u64> = self.keysets[keyset].iter().map(|&id| self.names[id as usize]).collect();
        let values = values.take(metrics.len());
        let seq = self.next;
        let points = metrics.into_iter().zip(&values).map(|(metric, v)| (seq, metric, step, time_ms, v.to_bits()));
        self.push(&Record::Row { seq, time_ms, step, keyset: keyset as u32, values: &values }, points.collect());
    }

    /// As the uploader does it. A log that grows beyond what the decoder takes in all ends there.
    fn push(&mut self, record: &Record<'_>, points: Vec<Entry>) {
        if self.points + points.len() > 20_000 {
            return;
        }
        self.points += points.len();
        let (_, last) = record.seqs().unwrap_or_default();
        while let Ok(Push::Full { .. }) = self.encoder.push(record, 0) {
            self.cut();
        }
        self.next = last + 1;
        self.wanted.extend(points);
    }

    fn cut(&mut self) {
        match self.encoder.finish() {
            Ok(batch) => self.batches.extend(batch),
            Err(error) => judge::unreadable(&error),
        }
    }
}
