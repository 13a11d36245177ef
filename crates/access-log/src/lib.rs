//! The access log: a line for each request of a client, as text or JSON.
//!
//! An [`AccessRecord`] is made when the head of a request was read, filled in by its connection, the front of its protocol and
//! the events of its model, and becomes a line when the response was sent or its client is gone. Lines are written by a thread
//! of their own; no request waits for the disk. What clients sent is escaped: a line is always one line.

#![warn(missing_docs)]

mod format;
mod line;
mod log;
mod record;
mod time;

pub use format::Format;
pub use line::{Line, Phases};
pub use log::{AccessLog, Destination};
pub use record::AccessRecord;
