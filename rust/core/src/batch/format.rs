//! Numbers of the format, version 1. docs/format.md is normative.
//!
//! ```text
//! 0       version   u8 = 1
//! 1       flags     u8 = 0
//! 2..6    crc32c    u32 little-endian, of the bytes from 6 to the end
//! 6..     varint first_seq, varint last_seq - first_seq, varint points
//!         varint length of meta, meta as a stream
//!         the streams of the columns
//! meta    names, key sets, sections, column descriptors
//! ```

pub(super) const VERSION: u8 = 1;
pub(super) const FLAGS: u8 = 0;
/// Version, flags, checksum.
pub(super) const HEADER: usize = 6;

/// One key set, n rows: columns seq, step, time of n integers, then one column of n values for each key.
pub(super) const DENSE: u8 = 0;
/// n rows, each with some of m metrics: columns seq, step, time, then one column of values for each metric.
pub(super) const SPARSE: u8 = 1;
/// n consecutive sequences of one metric at one time: columns step and value.
pub(super) const ARRAY: u8 = 2;

/// Key sets of a stream, and names in all of them together. A reader keeps them as long as the stream lives.
pub(super) const MAX_KEYSETS: usize = 1 << 16;
pub(super) const MAX_KEYSET_NAMES: usize = 1 << 22;
/// Points of a batch, whatever the limits say: what one pco chunk holds.
pub(super) const MAX_POINTS: usize = 1 << 24;
