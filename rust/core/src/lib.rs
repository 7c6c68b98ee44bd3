//! The heart of Stepline without Python and without a network: what a point looks like on its way.
//!
//! - [`id`]: writer ids and the 64-bit ids of names.
//! - [`record`]: what one `log()` call becomes.
//! - [`spool`]: records in memory-mapped segments that survive SIGKILL.
//! - [`codec`]: the transformations that make columns small.
//! - [`batch`]: many records as one columnar message for the wire.
//! - [`block`]: many batches as one block for the database.
//! - [`digest`]: checksums by which a spool and a store are compared.

#[cfg(target_endian = "big")]
compile_error!("spool segments and batches are little-endian and are mapped in place");

pub mod batch;
pub mod block;
pub mod codec;
pub mod digest;
pub mod id;
pub mod record;
mod siphash;
pub mod spool;
