//! What a spool promises, checked from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod fixture;
mod full;
mod kill;
mod model;
mod support;
mod tail;
