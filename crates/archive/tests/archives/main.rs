//! Whole archives: what they become, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

mod becomes;
mod forms;
mod kit;
mod refused;
mod settings;
