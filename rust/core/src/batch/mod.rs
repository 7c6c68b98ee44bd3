//! Many records of one writer as one message for the wire: the columnar format of docs/format.md.
//!
//! - [`StreamEncoder`] takes records in the order of their sequences and cuts batches of them.
//! - [`StreamDecoder`] turns a batch back into columns and keeps the definitions (names, key sets) of its stream.
//! - [`plain`] makes the same [`DecodedBatch`] of the plain protobuf encoding.
//!
//! Invariants, on both sides:
//! - A batch holds exactly the sequences `first_seq..=last_seq`: no hole, no double, each with at least one point.
//! - Values keep their bits: NaN payloads, -0.0, infinities, subnormals.
//! - A definition is sent once a stream, in the first batch that needs it. A new stream begins with a new encoder and decoder.
//! - The decoder allocates nothing for a declared size before it was checked against the limits and against the bytes that are there.

mod assemble;
mod budget;
mod coverage;
mod decoded;
mod decoder;
mod definitions;
mod dictionary;
mod encoder;
mod error;
mod format;
mod limits;
mod pending;
pub mod plain;
mod section;

pub(crate) use decoded::Section;
pub use decoded::{DecodedBatch, Point};
pub use decoder::StreamDecoder;
pub use encoder::{EncodedBatch, Push, StreamEncoder};
pub use error::{BatchError, ErrorKind};
pub use limits::{BatchLimits, DecodeLimits};
