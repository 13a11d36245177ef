//! The values of the limits on connections: their number, their times and the bytes held for them.
//!
//! `accept.rs` enforces the number, `connection.rs` the times, `body.rs` that of a body and `exchange.rs` the bytes.

use std::time::Duration;

use crate::machine;

/// The limits of all ports together. [`Duration::MAX`] and `usize::MAX` stand for no limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The number of connections to all ports together. Those to the metrics port are limited separately.
    pub connections: usize,
    /// The number of open requests on one HTTP/2 connection. Clients are told it, and wait.
    pub streams: u32,
    /// The time from the first byte of a request to the end of its head.
    pub header_time: Duration,
    /// The time within which a body has to make progress; see [`crate::RequestBody`].
    pub body_time: Duration,
    /// The time after which a connection without a request is closed.
    pub idle_time: Duration,
    /// How long a response may wait for the client to read more of it.
    pub write_time: Duration,
    /// How long a request is processed after its client closed its side of the connection.
    pub half_close_time: Duration,
    /// The total number of bytes of requests and responses that the server holds for clients.
    pub held_bytes: usize,
}

impl Default for Limits {
    /// The defaults of the command line.
    fn default() -> Limits {
        Limits {
            connections: machine::connections(),
            streams: 1024,
            header_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            idle_time: Duration::from_mins(15),
            write_time: Duration::from_mins(2),
            half_close_time: Duration::from_secs(5),
            held_bytes: machine::memory().map_or(usize::MAX, |bytes| bytes / 2),
        }
    }
}
