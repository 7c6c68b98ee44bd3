//! Walks the records of one segment file, also while another process writes it.
//!
//! Reads with `pread` into an aligned buffer instead of mapping the file: what was checked cannot change any more, and a disk error
//! or a file that was cut is an error instead of SIGBUS. A copy that was taken while the record was written may hold its length and
//! not yet its bytes; so a checksum that does not fit is tried once more on a second copy, taken after the length was seen.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{fence, Ordering};

use super::error::SpoolError;
use super::frame::{self, framed, PREFIX_BYTES};
use super::header::{SegmentHeader, HEADER_BYTES};
use crate::id::WriterId;
use crate::record::Record;

/// Read at a time. It starts small, so that whoever follows a live tail does not copy a tail of zeros, and grows while there is more.
const LEAST_CHUNK: usize = 4 << 10;
const MOST_CHUNK: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    path: PathBuf,
    file_bytes: u64,
    /// Where in the file the next record begins.
    position: u64,
    /// Where the record that was stepped over last begins.
    record_at: u64,
    /// Eight-byte words, so that columns can be borrowed from it.
    buffer: Vec<u64>,
    /// Which part of the file the buffer holds.
    held: Range<u64>,
    chunk: usize,
}

/// Where in the buffer the body of a checked record lies.
pub(super) type Body = Range<usize>;

impl Cursor {
    /// Opens segment `index` of `writer` and reads its header.
    pub fn open(path: &Path, index: u32, writer: WriterId) -> Result<(Cursor, SegmentHeader), SpoolError> {
        let failed = |e| SpoolError::io("read", path, e);
        let file = File::open(path).map_err(failed)?;
        let file_bytes = file.metadata().map_err(failed)?.len();
        let header = read_header(&file, path, index, writer)?;
        let cursor = Cursor {
            file,
            path: path.to_owned(),
            file_bytes,
            position: HEADER_BYTES as u64,
            record_at: HEADER_BYTES as u64,
            buffer: Vec::new(),
            held: 0..0,
            chunk: LEAST_CHUNK,
        };
        Ok((cursor, header))
    }

    /// Says that something is wrong with the record that was stepped over last.
    pub fn corrupt_record(&self, what: &str) -> SpoolError {
        SpoolError::corrupt(&self.path, self.record_at, what)
    }

    /// Says that something should follow the last record.
    pub fn corrupt_end(&self, what: &str) -> SpoolError {
        SpoolError::corrupt(&self.path, self.position, what)
    }

    /// Steps over the next record and says where its body lies; None when there is none (yet).
    pub fn advance(&mut self) -> Result<Option<Body>, SpoolError> {
        let at = self.position;
        if !self.reaches(at + PREFIX_BYTES as u64)? {
            return Ok(None);
        }
        let mut length = self.prefix()?.0;
        if length == 0 {
            // It may have been written since the buffer was filled.
            self.held = 0..0;
            self.chunk = LEAST_CHUNK;
            length = self.prefix()?.0;
        }
        if length == 0 {
            return Ok(None);
        }
        let body_bytes = length as usize;
        let end = at + framed(body_bytes) as u64;
        if body_bytes > frame::MAX_BODY_BYTES || !self.reaches(at + (PREFIX_BYTES + body_bytes) as u64)? {
            return Err(SpoolError::corrupt(&self.path, at, "a record reaches beyond the end of the file"));
        }
        // Orders the reads of the body after the read of the length; it pairs with the Release store of the writer.
        fence(Ordering::Acquire);
        for copy in 0..2 {
            if copy > 0 {
                self.reopen();
            }
            let (_, crc) = self.prefix()?;
            let body = self.hold(at + PREFIX_BYTES as u64, body_bytes)?;
            if crc32c::crc32c(self.bytes(&body)) == crc {
                self.record_at = at;
                self.position = end;
                return Ok(Some(body));
            }
        }
        Err(SpoolError::corrupt(&self.path, at, "the checksum of a record does not fit"))
    }

    /// Opens the file anew and forgets what was read of it: on a network file system that is what shows the newest contents.
    pub fn reopen(&mut self) {
        // One that is gone is still read to its end.
        if let Ok(file) = File::open(&self.path) {
            self.file = file;
        }
        self.held = 0..0;
    }

    /// The file has this many bytes; it grows when its writer gathers records.
    fn reaches(&mut self, bytes: u64) -> Result<bool, SpoolError> {
        if bytes > self.file_bytes {
            let found = self.file.metadata().map_err(|e| SpoolError::io("read", &self.path, e))?;
            self.file_bytes = self.file_bytes.max(found.len());
        }
        Ok(bytes <= self.file_bytes)
    }

    /// The record in a body that `advance` gave, as long as nothing was read since.
    pub fn record(&self, body: &Body) -> Result<Record<'_>, &'static str> {
        frame::parse(self.bytes(body))
    }

    fn bytes(&self, range: &Body) -> &[u8] {
        bytemuck::cast_slice(&self.buffer).get(range.clone()).unwrap_or_default()
    }

    /// Length and checksum of the record at the position.
    fn prefix(&mut self) -> Result<(u32, u32), SpoolError> {
        let range = self.hold(self.position, PREFIX_BYTES)?;
        match *self.bytes(&range) {
            [a, b, c, d, e, f, g, h] => Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))),
            _ => Err(SpoolError::corrupt(&self.path, self.position, "the file became shorter")),
        }
    }

    /// Makes the buffer hold `bytes` bytes of the file from `from` on and says where in the buffer they are. What is held before the
    /// record at the position is dropped.
    fn hold(&mut self, from: u64, bytes: usize) -> Result<Range<usize>, SpoolError> {
        let end = from + bytes as u64;
        if !(self.held.start <= self.position && end <= self.held.end) {
            let base = self.position;
            let wanted = ((end - base) as usize).max(self.chunk);
            self.chunk = (2 * self.chunk).min(MOST_CHUNK);
            let bytes = (wanted as u64).min(self.file_bytes - base) as usize;
            self.buffer.resize(bytes.div_ceil(8), 0);
            // Nothing is held if this fails.
            self.held = 0..0;
            let target = bytemuck::cast_slice_mut(&mut self.buffer);
            self.file.read_exact_at(&mut target[..bytes], base).map_err(|e| self.short(e))?;
            self.held = base..base + bytes as u64;
        }
        let start = (from - self.held.start) as usize;
        Ok(start..start + bytes)
    }

    fn short(&self, error: io::Error) -> SpoolError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            SpoolError::corrupt(&self.path, self.position, "the file became shorter")
        } else {
            SpoolError::io("read", &self.path, error)
        }
    }
}

/// The header of an open segment file, which must be segment `index` of `writer`.
pub(super) fn read_header(file: &File, path: &Path, index: u32, writer: WriterId) -> Result<SegmentHeader, SpoolError> {
    let corrupt = |what| SpoolError::corrupt(path, 0, what);
    let mut bytes = [0u8; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(corrupt("the header is cut off")),
        Err(e) => return Err(SpoolError::io("read", path, e)),
    }
    let header = SegmentHeader::decode(&bytes).map_err(corrupt)?;
    if header.writer != writer || header.index != index {
        return Err(corrupt("the segment belongs elsewhere"));
    }
    Ok(header)
}
