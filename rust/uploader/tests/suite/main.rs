//! The uploader against a service in this process that misbehaves as it is told. The oracle: what was logged is stored exactly once,
//! by (writer, sequence, metric), whatever went wrong on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a test that is surprised shall fail

mod chance;
mod clock;
mod controls;
mod damage;
mod delivery;
mod faults;
mod hosts;
mod lives;
mod refusals;
mod service;
mod simulation;
mod store;
mod support;
mod system;
mod trainer;
mod weather;
