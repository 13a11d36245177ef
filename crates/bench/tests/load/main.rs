//! Loads servers in this process in all modes.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod closed_loop;
mod compare;
mod faults;
mod local;
mod memory;
mod open_loop;
mod run;
mod sequences;
mod streams;
