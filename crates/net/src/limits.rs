//! The limits of connections: how many there may be, how long they may wait, and how many bytes they may hold.

use std::time::Duration;

use crate::machine;

/// Limits of all ports together. [`Duration::MAX`] and `usize::MAX` stand for none.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections to the ports of the protocols, all together. Those to the metrics port have places of their own.
    pub connections: usize,
    /// Requests that one HTTP/2 connection may have open. Clients know it, and wait.
    pub streams: u32,
    /// From the first byte of a request to the end of its head.
    pub header_time: Duration,
    /// A body has to make progress within this time; see [`crate::RequestBody`].
    pub body_time: Duration,
    /// A connection without a request is closed then.
    pub idle_time: Duration,
    /// How long an answer may wait for the client to take more of it.
    pub write_time: Duration,
    /// How long a request is worked on after its client closed its side of the connection.
    pub half_close_time: Duration,
    /// Bytes of requests and answers that the server holds for clients, all together.
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
