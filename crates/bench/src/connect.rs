//! Opens the connections of a thread, and starts the workers on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::calls::Calls;
use crate::exchange::{Exchange, Fault};
use crate::grpc::{GrpcConnection, GrpcExchange, StreamExchange};
use crate::http::HttpExchange;
use crate::local::LocalExchange;
use crate::plan::{Plan, Transport};
use crate::worker::Worker;

/// The part of a load that a thread has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The number of its first worker among all.
    pub(crate) first_worker: u32,
    pub(crate) workers: u32,
    pub(crate) connections: u32,
    /// Whether the thread may sleep until its only worker goes on.
    pub(crate) may_block: bool,
}

/// The exchanges of a thread's workers.
#[derive(Debug)]
pub(crate) enum Exchanges {
    Http(Vec<HttpExchange>),
    Grpc(Vec<GrpcExchange>),
    Stream(Vec<StreamExchange>),
    Local(Vec<LocalExchange>),
}

/// Opens all connections of a thread, so that none is opened while requests are measured.
pub(crate) async fn open(plan: &Plan, part: Part) -> io::Result<Exchanges> {
    let workers = part.workers as usize;
    Ok(match &plan.transport {
        Transport::Http(address) => {
            let is_alone = part.may_block && workers == 1;
            let mut exchanges = Vec::new();
            for _ in 0..workers {
                exchanges.push(HttpExchange::connect(*address, is_alone).await?);
            }
            Exchanges::Http(exchanges)
        }
        Transport::Grpc(address) => {
            let connections = connections(plan, part, *address).await?;
            Exchanges::Grpc(connections.iter().cycle().take(workers).map(GrpcExchange::new).collect())
        }
        Transport::Stream(address) => {
            let connections = connections(plan, part, *address).await?;
            Exchanges::Stream(connections.iter().cycle().take(workers).map(StreamExchange::new).collect())
        }
        Transport::Local(model) => {
            let exchange = LocalExchange::new(model, &plan.encoder.request);
            Exchanges::Local(vec![exchange; workers])
        }
    })
}

async fn connections(plan: &Plan, part: Part, address: SocketAddr) -> io::Result<Vec<Arc<GrpcConnection>>> {
    let mut connections = Vec::new();
    for _ in 0..part.connections.min(part.workers) {
        connections.push(GrpcConnection::connect(address, &plan.encoder).await?);
    }
    Ok(connections)
}

/// Sends the first request of a worker by the first exchange.
pub(crate) async fn probe(exchanges: Exchanges, calls: Calls) -> Result<(), Fault> {
    match exchanges {
        Exchanges::Http(exchanges) => first(exchanges, calls).await,
        Exchanges::Grpc(exchanges) => first(exchanges, calls).await,
        Exchanges::Stream(exchanges) => first(exchanges, calls).await,
        Exchanges::Local(exchanges) => first(exchanges, calls).await,
    }
}

async fn first<E: Exchange>(exchanges: Vec<E>, mut calls: Calls) -> Result<(), Fault> {
    for mut exchange in exchanges.into_iter().take(1) {
        exchange.exchange(calls.next()).await?;
        if let Some(call) = calls.end() {
            exchange.exchange(call).await?;
        }
        exchange.close().await;
    }
    Ok(())
}

/// Starts a worker for each exchange. `worker` makes the worker of a number among those of the thread.
pub(crate) fn start(exchanges: Exchanges, worker: impl Fn(u32) -> Worker) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    macro_rules! spawn {
        ($exchanges:expr) => {
            for (number, exchange) in (0..).zip($exchanges) {
                workers.spawn(worker(number).run(exchange));
            }
        };
    }
    match exchanges {
        Exchanges::Http(exchanges) => spawn!(exchanges),
        Exchanges::Grpc(exchanges) => spawn!(exchanges),
        Exchanges::Stream(exchanges) => spawn!(exchanges),
        Exchanges::Local(exchanges) => spawn!(exchanges),
    }
    workers
}
