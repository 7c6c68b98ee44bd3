//! What a spool promises, checked from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ahead;
mod buffered;
mod damage;
mod fixture;
mod full;
mod kill;
mod limit;
mod model;
mod outage;
mod power;
mod support;
mod tail;
mod vanished;
