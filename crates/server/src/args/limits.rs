//! Flags of connections: how many, how long, and what they may hold.

use std::time::Duration;

use clap::Args;
use hippocamp_net::Limits;

#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(crate) struct LimitsArgs {
    /// The most connections to the HTTP and gRPC ports together. Beyond it an idle one is closed for a new one; where none
    /// is idle, a new one gets 503 or UNAVAILABLE, and still the health. By default what the limit of open files leaves, at
    /// most 16384.
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,

    /// The most requests at a time on one connection of HTTP/2; clients wait with others.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrent_streams: u32,

    /// The most bytes of requests and answers that the server holds for clients, all together; a request beyond it gets 503
    /// or UNAVAILABLE. 0: no limit. By default half of the memory of the machine or container.
    #[arg(long, value_name = "BYTES")]
    max_inflight_bytes: Option<usize>,

    /// How long the head of a request may take to come, in seconds. 0, here and below: no limit.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    header_timeout_secs: u64,

    /// A request's body is given up that does not bring 256 bytes a second over so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    body_timeout_secs: u64,

    /// Close a connection that had no request for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    idle_timeout_secs: u64,

    /// Close a connection whose client reads nothing of an answer for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    write_timeout_secs: u64,

    /// How long to work on for a client that closed its side of the connection, which those do that hang up, too. One that
    /// said `Connection: close` gets its answer however long it takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    half_close_timeout_secs: u64,
}

impl LimitsArgs {
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            connections: self.max_connections.unwrap_or(default.connections),
            streams: self.max_concurrent_streams,
            header_time: time(self.header_timeout_secs),
            body_time: time(self.body_timeout_secs),
            idle_time: time(self.idle_timeout_secs),
            write_time: time(self.write_timeout_secs),
            half_close_time: time(self.half_close_timeout_secs),
            held_bytes: match self.max_inflight_bytes {
                None => default.held_bytes,
                Some(0) => usize::MAX,
                Some(bytes) => bytes,
            },
        }
    }
}

fn time(seconds: u64) -> Duration {
    if seconds == 0 { Duration::MAX } else { Duration::from_secs(seconds) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    fn limits(flags: &[&str]) -> Limits {
        let always = ["hippocamp", "--model-repository=x"];
        Args::parse_from(always.iter().chain(flags)).limits.limits()
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        assert_eq!(format!("{:?}", limits(&[])), format!("{:?}", Limits::default()));
    }

    #[test]
    fn nothing_stands_for_no_limit() {
        let limits = limits(&["--max-inflight-bytes=0", "--body-timeout-secs=0", "--idle-timeout-secs=7"]);
        assert_eq!((limits.held_bytes, limits.body_time), (usize::MAX, Duration::MAX));
        assert_eq!(limits.idle_time, Duration::from_secs(7));
    }
}
