//! The transformations that make columns small. docs/format.md is normative; this is how it is done.
//!
//! A column of numbers becomes 64-bit words in which near values are near integers ([`kind`]), then a head and small residuals
//! ([`predict`]), then for each residual one byte that an entropy coder sees and bits that are noise and are packed as they are
//! ([`column`], [`bits`]). Bytes go through [`stream`], which holds the only call of zstd. Long columns go through [`long`].
//!
//! Every decoder here takes the number of elements from its caller, who has checked it against the limits. None trusts a size that
//! it reads.

pub mod bits;
pub mod column;
pub mod error;
pub mod kind;
pub mod long;
pub mod predict;
pub mod shuffle;
pub mod stream;
pub mod varint;

pub use error::CodecError;
