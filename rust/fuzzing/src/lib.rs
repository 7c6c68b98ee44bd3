//! What a fuzzer does with one input. No engine here: `fuzz/` brings one, and `tests/corpus.rs` replays the corpus without.
//!
//! - [`columnar`]: foreign bytes as the batches of one stream.
//! - [`records`]: records that come back bit for bit, and their batches with a few bytes changed.
//! - [`plain`]: the protobuf encoding of a batch.
//! - [`spool`]: foreign bytes as the files of a spool.
//! - [`text`]: addresses, JSON, the details of a failed call.
//!
//! Every target makes what it reads plausible first (lengths, checksums), since blind changes would not get past a checksum. It panics
//! when a promise is broken: no panic, memory within the limits, whatever is accepted keeps the invariants, decode(encode(x)) == x.

pub mod columnar;
mod judge;
pub mod memory;
pub mod plain;
pub mod records;
pub mod spool;
pub mod text;

/// Takes one input. Panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("columnar", columnar::run),
    ("records", records::run),
    ("plain", plain::run),
    ("spool", spool::run),
    ("text", text::run),
];
