//! What is measured, and how.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::LoadedModel;

use crate::message::Encoder;
use crate::stop::Stop;

/// How many requests under way share a gRPC connection by default, as in Triton's own clients.
const STREAMS: u32 = 6;

/// The same for all levels of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) transport: Transport,
    pub(crate) encoder: Encoder,
    /// The length of sequences; `None` where requests do not belong to any.
    pub(crate) sequence: Option<u32>,
    /// How long a level is measured, unless by a number of requests.
    pub(crate) seconds: Duration,
    pub(crate) requests: Option<u64>,
    pub(crate) warm_up: Duration,
    /// When a level, and its warm-up, end before that.
    pub(crate) stop: Option<Stop>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    pub(crate) connections: Option<u32>,
    pub(crate) threads: Option<u32>,
}

/// How requests get to the model.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// Over HTTP, one request after the other on each connection.
    Http(SocketAddr),
    /// Unary calls over gRPC.
    Grpc(SocketAddr),
    /// Streams of requests and responses over gRPC.
    Stream(SocketAddr),
    /// A model in this process.
    Local(Arc<LoadedModel>),
}

impl Transport {
    /// Its name in results for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Transport::Http(_) => "http",
            Transport::Grpc(_) => "grpc",
            Transport::Stream(_) => "grpc_stream",
            Transport::Local(_) => "local",
        }
    }

    /// Where requests go, unless it is this process.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Transport::Http(address) | Transport::Grpc(address) | Transport::Stream(address) => {
                Some(*address)
            }
            Transport::Local(_) => None,
        }
    }

    /// Its name for people.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Transport::Http(_) => "HTTP",
            Transport::Grpc(_) => "gRPC",
            Transport::Stream(_) => "gRPC stream",
            Transport::Local(_) => "in process",
        }
    }
}

/// A level of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// So many requests are always under way.
    Closed { concurrency: u32 },
    /// So many requests are sent every second, with at most `workers` under way.
    Open { rate: f64, is_poisson: bool, workers: u32 },
}

impl Load {
    /// How many requests may be under way.
    pub(crate) fn workers(self) -> u32 {
        match self {
            Load::Closed { concurrency } => concurrency,
            Load::Open { workers, .. } => workers,
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
        match (&self.transport, self.connections) {
            (Transport::Local(_), _) => 0,
            (Transport::Http(_), _) => load.workers(),
            (Transport::Grpc(_) | Transport::Stream(_), Some(connections)) => connections.min(load.workers()),
            (Transport::Grpc(_) | Transport::Stream(_), None) => {
                load.workers().div_ceil(STREAMS).max(threads)
            }
        }
    }

    /// The most threads that have something to do under a load.
    pub(crate) fn most_threads(&self, load: Load) -> u32 {
        match (&self.transport, self.connections) {
            (Transport::Grpc(_) | Transport::Stream(_), Some(connections)) => connections.min(load.workers()),
            _ => load.workers(),
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
