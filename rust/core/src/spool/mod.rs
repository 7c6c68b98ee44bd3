//! Records in memory-mapped segments that survive SIGKILL.
//!
//! A spool is a directory that one process appends to and that another drains. The same page with tables is docs/spool.md.
//!
//! # Invariants
//!
//! - **A record that was appended is in the page cache.** A SIGKILL of the writer loses nothing; a power failure loses what was
//!   written since the last `sync`.
//! - **The length word is the commit.** Body and checksum are stored first, the length last with Release. Zero means: nothing yet.
//!   A writer that dies in between leaves a zero, and what lies behind it is nothing.
//! - **The longest valid prefix of each segment is what there is.** A record whose checksum, size, sequence or references do not fit
//!   ends its segment, is reported with file and offset, and reading goes on with the next segment. Nothing is ever repaired.
//! - **Segments stand alone.** Each defines the names and key sets that it uses, so that those before it can be deleted.
//! - **Sequences and ordinals are contiguous** over the records of a spool, across segments. The header of a segment says where it
//!   begins, which is how a lost end of the segment before it is noticed.
//! - **Space is reserved before it is mapped.** A full disk is an error of the append, not a SIGBUS, and what it refused is counted
//!   and written down as a gap as soon as there is room again.
//! - **One writer for ever.** A spool is never appended to by a second process, nor by a forked child.
//! - Data files are the only truth. `state` is a hint, `sealed` and the locks say who is still there.
//!
//! # Byte layout, version 1, little-endian
//!
//! ```text
//! segment   0  "STEPSPOL"              8  u32 version = 1      12  u32 index, from 1
//!          16  [u8; 16] writer        32  u64 first seq        40  u64 first control ordinal
//!          48  i64 created, ms        56  u32 0                60  u32 crc32c of bytes 0..60
//!          64  records, each at a multiple of 8, then zeros
//!
//! record    0  u32 length of the body  4  u32 crc32c of the body    8  body, then zeros up to a multiple of 8
//!
//! body      0  u8 kind    1  [u8; 3] 0    4  u32 number    8  the rest:
//!   1 Name     number = id                  UTF-8
//!   2 KeySet   number = id                  u32 name ids
//!   3 Row      number = key set             u64 seq, i64 step, i64 time in ms, f64 values
//!   4 Sparse   number = n                   u64 seq, i64 step, i64 time in ms, n f64 values, n u32 name ids
//!   5 Array    number = name id             u64 seq, i64 time in ms, i64 steps, f64 values (half of the rest each)
//!   6 Control  number = 0                   u64 ordinal, UTF-8 JSON
//! ```
//!
//! Columns begin at multiples of 8, so a reader borrows them where they lie.
//!
//! # Files
//!
//! [`writer`] holds a [`segment`], to which [`append`] puts records in the layout of [`header`] and [`frame`]. It numbers names in a
//! [`dictionary`], and keeps the count of a full [`disk`] in a [`gap`]; the next segment is a [`spare`] before its time, and one that is
//! gathered in memory is written at a [`cadence`]. [`reader`] goes from segment to segment with a [`cursor`] and checks [`continuity`].

mod append;
mod backing;
mod cadence;
mod continuity;
mod cursor;
mod definitions;
mod dictionary;
mod directory;
mod disk;
mod error;
mod frame;
mod gap;
mod header;
pub mod layout;
mod listing;
mod lock;
mod meta;
mod options;
mod outline;
mod quota;
mod reader;
mod remote;
mod rollover;
mod segment;
mod spare;
mod state;
mod status;
mod sync;
mod tail;
mod writer;

pub use disk::{Disk, RealDisk};
pub use error::{SpoolError, SpoolErrorKind};
pub use layout::scan;
pub use lock::DirLock;
pub use meta::{SpoolMeta, META_VERSION};
pub use options::{LimitPolicy, WriteMode, WriterOptions, WriterStats};
pub use outline::{outline, Outline};
pub use reader::SpoolReader;
pub use state::{Phase, SpoolState, StateFile};
pub use status::{brief, points_left, status, Brief, Status};
pub use sync::SyncHandle;
pub use writer::SpoolWriter;
