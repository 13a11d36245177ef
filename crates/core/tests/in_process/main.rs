//! Models that call other models, in a server without protocols.

#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod ends;
mod kit;
mod loading;
mod streams;
