//! The side file `state`: what the drainer of a spool knows, for whoever asks. A hint, never the truth: it may be missing, old or
//! torn, and then it reads as None. It has one writer (the holder of `drain.lock`) and is replaced by one `pwrite`.
//!
//! Byte layout, little-endian, 576 bytes:
//!
//! ```text
//!   0  u32 magic "SLST"      4  u32 crc32c of bytes 8..576
//!   8  u64 epoch            16  u64 acked_seq       24  u64 sent_seq      32  u64 acked_control
//!  40  i64 updated_ms       48  u32 attempt         52  u8 phase          53  u8 0
//!  54  u16 bytes of error   56  u64 0               64  error, UTF-8, at most 512 bytes, zeros after it
//! ```

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::SpoolError;
use super::layout;

const MAGIC: u32 = u32::from_le_bytes(*b"SLST");
const SIZE: usize = 576;
const ERROR_AT: usize = 64;
/// The longest error text that is kept, in bytes.
pub const MAX_STATE_ERROR: usize = SIZE - ERROR_AT;
/// A reader that meets a write in progress tries again.
const READ_ATTEMPTS: u32 = 3;

/// What the drainer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    #[default]
    Waiting = 0,
    Connecting = 1,
    Streaming = 2,
    Unreachable = 3,
    Refused = 4,
    Done = 5,
}

impl Phase {
    const ALL: [Phase; 6] =
        [Phase::Waiting, Phase::Connecting, Phase::Streaming, Phase::Unreachable, Phase::Refused, Phase::Done];

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Connecting => "connecting",
            Phase::Streaming => "streaming",
            Phase::Unreachable => "unreachable",
            Phase::Refused => "refused",
            Phase::Done => "done",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// Fencing number of the drainer; each takes one more than it found.
    pub epoch: u64,
    /// Everything up to here is stored by the service.
    pub acked_seq: u64,
    /// Everything up to here was sent at least once.
    pub sent_seq: u64,
    /// Control records up to here have been answered.
    pub acked_control: u64,
    /// 0 when unknown.
    pub attempt: u32,
    pub phase: Phase,
    pub updated_ms: i64,
    /// Cut to `MAX_STATE_ERROR` bytes.
    pub error: String,
}

impl SpoolState {
    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0u8; SIZE];
        let error = floor_char_boundary(&self.error, MAX_STATE_ERROR);
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.acked_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sent_seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.acked_control.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.updated_ms.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[52] = self.phase as u8;
        bytes[54..56].copy_from_slice(&(error.len() as u16).to_le_bytes());
        bytes[ERROR_AT..ERROR_AT + error.len()].copy_from_slice(error.as_bytes());
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<SpoolState> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if u32_at(0)? != MAGIC || u32_at(4)? != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        let error_bytes = usize::from(u16::from_le_bytes([bytes[54], bytes[55]]));
        let error = std::str::from_utf8(bytes.get(ERROR_AT..ERROR_AT + error_bytes)?).ok()?;
        Some(SpoolState {
            epoch: u64_at(8)?,
            acked_seq: u64_at(16)?,
            sent_seq: u64_at(24)?,
            acked_control: u64_at(32)?,
            updated_ms: i64::from_le_bytes(bytes.get(40..48)?.try_into().ok()?),
            attempt: u32_at(48)?,
            phase: *Phase::ALL.get(usize::from(bytes[52]))?,
            error: error.to_owned(),
        })
    }
}

/// The open side file of the drainer.
#[derive(Debug)]
pub struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens (and creates) the side file of the spool at `dir` for writing. Hold `drain.lock`.
    pub fn open(dir: &Path) -> Result<StateFile, SpoolError> {
        let path = dir.join(layout::STATE_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| SpoolError::io("open", &path, e))?;
        Ok(StateFile { file, path })
    }

    pub fn read(&self) -> Option<SpoolState> {
        read_from(&self.file)
    }

    pub fn write(&self, state: &SpoolState) -> Result<(), SpoolError> {
        self.file.write_all_at(&state.encode(), 0).map_err(|e| SpoolError::io("write", &self.path, e))
    }

    /// What the side file of the spool at `dir` says; None when it says nothing.
    pub fn peek(dir: &Path) -> Option<SpoolState> {
        read_from(&File::open(dir.join(layout::STATE_FILE)).ok()?)
    }
}

fn read_from(file: &File) -> Option<SpoolState> {
    (0..READ_ATTEMPTS).find_map(|_| {
        let mut bytes = [0u8; SIZE];
        file.read_exact_at(&mut bytes, 0).ok()?;
        SpoolState::decode(&bytes)
    })
}

fn floor_char_boundary(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> SpoolState {
        SpoolState {
            epoch: 3,
            acked_seq: 1 << 40,
            sent_seq: u64::MAX,
            acked_control: 7,
            attempt: 2,
            phase: Phase::Unreachable,
            updated_ms: -1,
            error: "é".repeat(400),
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_long_error_is_cut_between_characters() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(StateFile::peek(dir.path()), None);
        let file = StateFile::open(dir.path()).unwrap();
        assert_eq!(file.read(), None);
        file.write(&state()).unwrap();
        let expected = SpoolState { error: "é".repeat(256), ..state() };
        assert_eq!(StateFile::peek(dir.path()), Some(expected));
    }

    #[test]
    fn any_flipped_bit_reads_as_nothing() {
        let good = state().encode();
        for bit in 0..SIZE * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SpoolState::decode(&bad), None, "bit {bit}");
        }
    }
}
