//! Models that are loaded when a request asks for them, and evicted to make room for others.

#![allow(clippy::unwrap_used, reason = "tests")]

mod asked;
mod kit;
mod on_gpus;
mod poll;
mod room;
mod shown;
