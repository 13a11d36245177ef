//! What is measured, and how.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::LoadedModel;

use crate::message::Encoder;

/// How many requests under way share a gRPC connection by default, as in Triton's own clients.
const STREAMS: u32 = 6;

/// The same for all levels of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) encoder: Encoder,
    /// The length of sequences; `None` where requests do not belong to any.
    pub(crate) sequence: Option<u32>,
    /// How long a level is measured, unless by a number of requests.
    pub(crate) seconds: Duration,
    pub(crate) requests: Option<u64>,
    pub(crate) warm_up: Duration,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    pub(crate) connections: Option<u32>,
    pub(crate) threads: Option<u32>,
}

/// The way of requests to the model.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Over HTTP, one request after the other on each connection.
    Http(SocketAddr),
    /// Unary calls over gRPC.
    Grpc(SocketAddr),
    /// Streams of requests and responses over gRPC.
    Stream(SocketAddr),
    /// A model in this process.
    Local(Arc<LoadedModel>),
}

impl Way {
    /// Its name in results for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Way::Http(_) => "http",
            Way::Grpc(_) => "grpc",
            Way::Stream(_) => "grpc_stream",
            Way::Local(_) => "local",
        }
    }

    /// Where requests go, unless it is this process.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Way::Http(address) | Way::Grpc(address) | Way::Stream(address) => Some(*address),
            Way::Local(_) => None,
        }
    }

    /// Its name for people.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Way::Http(_) => "HTTP",
            Way::Grpc(_) => "gRPC",
            Way::Stream(_) => "gRPC stream",
            Way::Local(_) => "in process",
        }
    }
}

/// A level of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// So many requests are always under way.
    Closed { concurrency: u32 },
    /// So many requests are sent every second, with at most `lanes` under way.
    Open { rate: u32, is_poisson: bool, lanes: u32 },
}

impl Load {
    /// How many requests may be under way.
    pub(crate) fn lanes(self) -> u32 {
        match self {
            Load::Closed { concurrency } => concurrency,
            Load::Open { lanes, .. } => lanes,
        }
    }

    /// Its name for people.
    pub(crate) fn title(self) -> String {
        match self {
            Load::Closed { concurrency } => format!("concurrency {concurrency}"),
            Load::Open { rate, .. } => format!("{rate} a second"),
        }
    }
}

impl Plan {
    /// How many connections carry a load that is sent by so many threads: each thread has one at least.
    pub(crate) fn connections(&self, load: Load, threads: u32) -> u32 {
        match (&self.way, self.connections) {
            (Way::Local(_), _) => 0,
            (Way::Http(_), _) => load.lanes(),
            (Way::Grpc(_) | Way::Stream(_), Some(connections)) => connections.min(load.lanes()),
            (Way::Grpc(_) | Way::Stream(_), None) => load.lanes().div_ceil(STREAMS).max(threads),
        }
    }

    /// The most threads that have something to do under a load.
    pub(crate) fn most_threads(&self, load: Load) -> u32 {
        match (&self.way, self.connections) {
            (Way::Grpc(_) | Way::Stream(_), Some(connections)) => connections.min(load.lanes()),
            _ => load.lanes(),
        }
    }
}

/// The part of `whole` that the `number`th of `of` gets, where all get about as many: where it begins, and how many it has.
pub(crate) fn share(whole: u32, number: u32, of: u32) -> (u32, u32) {
    let (each, more) = (whole / of, whole % of);
    (each * number + number.min(more), each + u32::from(number < more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_each_other_and_are_about_the_same() {
        for (whole, of) in [(7, 3), (16, 16), (1, 1), (5, 2), (2, 4)] {
            let mut end = 0;
            for number in 0..of {
                let (begin, count) = share(whole, number, of);
                assert_eq!(begin, end, "{number} of {of}");
                assert!(count == whole / of || count == whole / of + 1);
                end += count;
            }
            assert_eq!(end, whole);
        }
    }
}
