//! Foreign bytes as the files of a spool.
//!
//! Input: u8 kind, u8 flags, u16 length, so many bytes, and so on. Kinds below 32 are the bodies of records, to which length and
//! checksum are added (not when bit 0 of the flags is set). 0xfc to 0xff begin a segment, `sealed`, `state` and `spool.json`.

use std::fs;
use std::path::Path;

use stepline_core::spool::{points_left, status, SpoolMeta, SpoolReader, StateFile};

use crate::memory::bounded;

/// The buffer of a reader grows to the longest record, and inputs are small.
const MEMORY: usize = 4 << 20;
const WRITER: [u8; 16] = [7; 16];
const META: &str = r#"{"version":1,"writer":"07070707070707070707070707070707","run_id":"r","mode":"online"}"#;

pub fn run(data: &[u8]) {
    let Ok(root) = directory() else { return };
    let spool = root.path().join("07070707070707070707070707070707");
    if write(&spool, data).is_ok() {
        bounded(MEMORY, || read(&spool, data));
    }
}

/// In memory where the system has such a place.
fn directory() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("stepline-fuzz-");
    if memory.is_dir() {
        builder.tempdir_in(memory)
    } else {
        builder.tempdir()
    }
}

fn write(spool: &Path, data: &[u8]) -> std::io::Result<()> {
    fs::create_dir(spool)?;
    fs::write(spool.join("spool.json"), META)?;
    let mut index = 1;
    let mut segment = header(index, 1, 1);
    let mut rest = data;
    while let [kind, flags, low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let (body, tail) = tail.split_at(length);
        rest = tail;
        match kind {
            0xfc => {
                fs::write(spool.join(format!("{index:08}.seg")), &segment)?;
                index += 1;
                let number = |at: usize| body.get(at).copied().map_or(1, u64::from);
                segment = header(index, number(0), number(1));
            }
            0xfd => fs::write(spool.join("sealed"), body)?,
            0xfe => fs::write(spool.join("state"), body)?,
            0xff => fs::write(spool.join("spool.json"), body)?,
            _ if flags & 1 == 1 => segment.extend_from_slice(body),
            _ => record(&mut segment, *kind % 8, *flags >> 1, body),
        }
    }
    segment.extend_from_slice(&[0; 16]);
    fs::write(spool.join(format!("{index:08}.seg")), &segment)
}

fn header(index: u32, first_seq: u64, first_control: u64) -> Vec<u8> {
    let mut bytes = b"STEPSPOL".to_vec();
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&index.to_le_bytes());
    bytes.extend_from_slice(&WRITER);
    bytes.extend_from_slice(&first_seq.to_le_bytes());
    bytes.extend_from_slice(&first_control.to_le_bytes());
    bytes.extend_from_slice(&[0; 12]);
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn record(segment: &mut Vec<u8>, kind: u8, number: u8, rest: &[u8]) {
    let mut body = vec![kind, 0, 0, 0];
    body.extend_from_slice(&u32::from(number).to_le_bytes());
    body.extend_from_slice(rest);
    segment.extend_from_slice(&(body.len() as u32).to_le_bytes());
    segment.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    segment.extend_from_slice(&body);
    segment.resize(segment.len().div_ceil(8) * 8, 0);
}

fn read(spool: &Path, data: &[u8]) {
    let _ = SpoolMeta::load(spool);
    let _ = StateFile::peek(spool);
    let _ = status(spool);
    let _ = points_left(spool);
    let Ok(mut reader) = SpoolReader::open(spool) else { return };
    let _ = reader.first_available();
    let last = reader.last();
    for after in [0, data.first().copied().map_or(0, u64::from)] {
        if reader.seek(after, 0).is_err() {
            return;
        }
        let mut expected = None;
        // Each step takes a record or leaves a segment.
        let mut steps = data.len() + 64;
        loop {
            assert!(steps > 0, "reading does not end");
            steps -= 1;
            match reader.next() {
                Ok(Some(record)) => {
                    let Some((first, end)) = record.seqs() else { continue };
                    assert!(first > 0 && end >= first && end > after, "{first}..{end} was delivered");
                    assert!(expected.is_none_or(|expected| first == expected), "a jump without a report");
                    expected = end.checked_add(1);
                }
                Ok(None) => break,
                // Sequences may jump behind it.
                Err(error) if error.is_corrupt() => expected = None,
                Err(_) => break,
            }
        }
    }
    if let Ok((seq, control)) = last {
        let _ = reader.is_drained(seq, control);
        let _ = reader.release(seq, control);
    }
}
