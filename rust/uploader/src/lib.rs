//! From the spools of a host to the service.
//!
//! - [`run_host`]: drains every spool under a root until nothing is left; what the uploader process does.
//! - [`drain`]: sends what lies in a root or a spool and returns; what `stepline sync` does.
//! - [`Background`]: one spool, from a thread of the trainer.
//!
//! Inside, from the outside in: `host` finds spools, `session` keeps one of them going over any number of streams, `pump` moves its
//! records into one stream, `push` is that stream, and `window` says what may be under way on it. docs/protocol.md has the rules.
//!
//! Beside them, `system` takes readings of the host for the runs on it and writes them to spools of their own.
//!
//! What holds at any time:
//! - A record stays in its spool until the service has said that it is stored. Nothing else keeps it: what must be sent again is read
//!   again.
//! - Who drains a spool holds its `drain.lock`.
//! - The trouble of one spool is its own: it delays no other and ends no process.

mod background;
mod backoff;
mod console;
mod control;
mod damage;
mod drain;
mod handover;
mod heart;
mod held;
mod host;
mod journal;
mod logger;
mod pool;
mod pump;
mod push;
mod receipt;
mod registration;
mod runtime;
mod session;
mod settings;
mod stop;
mod syncer;
mod system;
mod trouble;
mod window;

pub use background::Background;
pub use backoff::Backoff;
pub use drain::{drain, run_drain};
pub use host::{host, run_host, HostError};
pub use logger::log_to_stderr;
pub use settings::{Clock, Settings, SystemClock, Tuning};
pub use stop::{Stop, Stopper};
