//! What a host does while runs go on: processors, memory, disks, network, accelerators, and the processes of the runs.
//!
//! One thread of the uploader reads /proc, /sys and NVML now and then and writes what it found to a spool of its own for each run,
//! which goes the way of all spools: so nothing is lost or doubled, and the trainer has no part in it. Inside, from the outside in:
//! [`Monitor`] is the thread, [`watch`] knows for which runs of which spools it works, [`machine`] puts a reading together, and the
//! other files each know one kind of device.
//!
//! What holds at any time:
//! - A run gets one reading a host and interval: of its spools the one with local rank 0 leads, and whoever samples for it holds
//!   `system.lock` in it.
//! - Steps are milliseconds since the epoch, so readings of several hosts and attempts lie on one axis.
//! - What cannot be read is left out. A driver that hangs holds up this thread and nothing else.

mod amd;
mod kernel;
mod machine;
mod monitor;
mod nvidia;
mod process;
mod traffic;
mod watch;

pub(crate) use monitor::Monitor;

/// Names without `system/` and their values.
type Values = Vec<(String, f64)>;
