//! Writing and reading back in one form that can be compared.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use stepline_core::record::Record;
use stepline_core::spool::{SpoolError, SpoolMeta, SpoolReader, SpoolWriter, WriterOptions};

/// One point, its value as bits so that NaN equals NaN.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    pub seq: u64,
    pub name: String,
    pub step: i64,
    pub time_ms: i64,
    pub bits: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    pub points: Vec<Point>,
    pub controls: Vec<(u64, String)>,
}

impl Contents {
    /// What comes after these.
    pub fn after(&self, seq: u64, control: u64) -> Contents {
        Contents {
            points: self.points.iter().filter(|p| p.seq > seq).cloned().collect(),
            controls: self.controls.iter().filter(|c| c.0 > control).cloned().collect(),
        }
    }
}

/// Reads a reader to its present end, collecting errors.
#[derive(Debug, Default)]
pub struct Collector {
    pub contents: Contents,
    pub errors: Vec<SpoolError>,
    names: HashMap<u32, String>,
    keysets: HashMap<u32, Vec<u32>>,
}

impl Collector {
    /// Takes what there is; returns how many records came.
    pub fn drain(&mut self, reader: &mut SpoolReader) -> usize {
        let mut taken = 0;
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    taken += 1;
                    self.take(&record);
                }
                Ok(None) => return taken,
                Err(e) => {
                    assert!(e.is_corrupt(), "{e}");
                    self.errors.push(e);
                }
            }
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        let name = |names: &HashMap<u32, String>, id: u32| names.get(&id).expect("defined before use").clone();
        match *record {
            Record::Name { id, name } => drop(self.names.insert(id, name.to_owned())),
            Record::KeySet { id, names } => drop(self.keysets.insert(id, names.to_vec())),
            Record::Row { seq, time_ms, step, keyset, values } => {
                let ids = self.keysets.get(&keyset).expect("defined before use");
                for (id, value) in ids.iter().zip(values) {
                    let point = Point { seq, name: name(&self.names, *id), step, time_ms, bits: value.to_bits() };
                    self.contents.points.push(point);
                }
            }
            Record::Sparse { seq, time_ms, step, names, values } => {
                for (id, value) in names.iter().zip(values) {
                    let point = Point { seq, name: name(&self.names, *id), step, time_ms, bits: value.to_bits() };
                    self.contents.points.push(point);
                }
            }
            Record::Array { seq, time_ms, name: id, steps, values } => {
                for (i, (step, value)) in steps.iter().zip(values).enumerate() {
                    let (seq, name, bits) = (seq + i as u64, name(&self.names, id), value.to_bits());
                    self.contents.points.push(Point { seq, name, step: *step, time_ms, bits });
                }
            }
            Record::Control { ordinal, json } => self.contents.controls.push((ordinal, json.to_owned())),
        }
    }
}

pub fn read_all(dir: &Path) -> Collector {
    let mut reader = SpoolReader::open(dir).expect("the spool opens");
    let mut collector = Collector::default();
    collector.drain(&mut reader);
    collector
}

pub fn meta() -> SpoolMeta {
    SpoolMeta { run_id: "run-1".into(), project: "p".into(), created_ms: 1_700_000_000_000, ..SpoolMeta::default() }
}

pub fn options(segment_bytes: usize) -> WriterOptions {
    // So that small segments are made ahead as well.
    WriterOptions { segment_bytes, ahead_bytes: 512, ..WriterOptions::default() }
}

/// Logs `{name: value, ..}` as the client does.
pub fn log(writer: &mut SpoolWriter, step: i64, metrics: &[(&str, f64)]) -> Result<u64, SpoolError> {
    let ids: Vec<u32> = metrics.iter().map(|(name, _)| writer.name_id(name)).collect::<Result<_, _>>()?;
    let values: Vec<f64> = metrics.iter().map(|(_, value)| *value).collect();
    match writer.keyset_id(&ids) {
        Some(keyset) => writer.append_row(keyset, step, 1_000 + step, &values),
        None => writer.append_sparse(&ids, step, 1_000 + step, &values),
    }
}

pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "seg")).collect();
    found.sort();
    found
}

/// Where the records of a segment file begin and where their bodies end, by the length words.
pub fn record_bounds(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut bounds = Vec::new();
    let mut at = 64;
    loop {
        let length = match bytes.get(at..at + 4) {
            Some(word) => u32::from_le_bytes(word.try_into().unwrap()) as usize,
            None => 0,
        };
        if length == 0 {
            return bounds;
        }
        bounds.push((at, at + 8 + length));
        at = (at + 8 + length).next_multiple_of(8);
    }
}
