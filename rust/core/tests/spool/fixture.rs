//! tests/fixtures/spool/v1.seg was written by the first version of the format and must be readable for ever.

use std::fs;
use std::path::Path;

use stepline_core::record::Record;
use stepline_core::spool::{SpoolMeta, SpoolReader, SpoolWriter};

use crate::support::{meta, options, segments};

const WRITER: &str = "0190a1b2c3d47e8f9a0b1c2d3e4f5061";

fn fixture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/spool/v1.seg")).unwrap()
}

fn expected() -> Vec<Record<'static>> {
    vec![
        Record::Name { id: 0, name: "train/loss" },
        Record::Name { id: 1, name: "größe" },
        Record::KeySet { id: 0, names: &[0, 1] },
        Record::Row { seq: 1, time_ms: 1_700_000_000_001, step: -3, keyset: 0, values: &[0.3125, f64::INFINITY] },
        Record::Sparse { seq: 2, time_ms: 1_700_000_000_002, step: i64::MAX, names: &[1], values: &[-0.0] },
        Record::Array { seq: 3, time_ms: 1_700_000_000_003, name: 0, steps: &[7, 8, 9], values: &[1.0, 2.0, 0.1] },
        Record::Control { ordinal: 1, json: "{\"finish\":{\"exit_code\":0}}" },
        Record::Row { seq: 6, time_ms: 1_700_000_000_004, step: 10, keyset: 0, values: &[f64::MIN_POSITIVE, 1e300] },
    ]
}

#[test]
fn version_one_is_read() {
    let root = tempfile::tempdir().unwrap();
    let writer = SpoolWriter::create(root.path(), SpoolMeta { writer: WRITER.into(), ..meta() }, options(0)).unwrap();
    fs::write(segments(writer.dir()).remove(0), fixture()).unwrap();
    let mut reader = SpoolReader::open(writer.dir()).unwrap();
    for record in expected() {
        assert_eq!(reader.next().unwrap(), Some(record));
    }
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn version_one_is_what_is_written() {
    let root = tempfile::tempdir().unwrap();
    let meta = SpoolMeta { writer: WRITER.into(), ..meta() };
    let mut writer = SpoolWriter::create(root.path(), meta, options(0)).unwrap();
    let names = [writer.name_id("train/loss").unwrap(), writer.name_id("größe").unwrap()];
    writer.keyset_id(&names).unwrap();
    for record in expected() {
        match record {
            Record::Row { time_ms, step, keyset, values, .. } => drop(writer.append_row(keyset, step, time_ms, values)),
            Record::Sparse { time_ms, step, names, values, .. } => {
                drop(writer.append_sparse(names, step, time_ms, values))
            }
            Record::Array { time_ms, name, steps, values, .. } => {
                drop(writer.append_array(name, time_ms, steps, values))
            }
            Record::Control { json, .. } => drop(writer.append_control(0, json)),
            Record::Name { .. } | Record::KeySet { .. } => {}
        }
    }
    let written = fs::read(segments(writer.dir()).remove(0)).unwrap();
    assert!(written == fixture(), "the writer's bytes changed: that is a new format version");
}
