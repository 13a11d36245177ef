//! Opens the connections of a thread, and starts the lanes on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::calls::Calls;
use crate::exchange::{Exchange, Fault};
use crate::grpc::{GrpcConnection, GrpcExchange, StreamExchange};
use crate::http::HttpExchange;
use crate::lane::Lane;
use crate::local::LocalExchange;
use crate::plan::{Plan, Way};

/// The part of a load that a thread has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The number of its first lane among all.
    pub(crate) first_lane: u32,
    pub(crate) lanes: u32,
    pub(crate) connections: u32,
}

/// The ways to the model of a thread's lanes.
#[derive(Debug)]
pub(crate) enum Ways {
    Http(Vec<HttpExchange>),
    Grpc(Vec<GrpcExchange>),
    Stream(Vec<StreamExchange>),
    Local(Vec<LocalExchange>),
}

/// Opens all connections of a thread, so that none is opened while requests are measured.
pub(crate) async fn open(plan: &Plan, part: Part) -> io::Result<Ways> {
    let lanes = part.lanes as usize;
    Ok(match &plan.way {
        Way::Http(address) => {
            let mut ways = Vec::new();
            for _ in 0..lanes {
                ways.push(HttpExchange::connect(*address).await?);
            }
            Ways::Http(ways)
        }
        Way::Grpc(address) => {
            let connections = connections(plan, part, *address).await?;
            Ways::Grpc(connections.iter().cycle().take(lanes).map(GrpcExchange::new).collect())
        }
        Way::Stream(address) => {
            let connections = connections(plan, part, *address).await?;
            Ways::Stream(connections.iter().cycle().take(lanes).map(StreamExchange::new).collect())
        }
        Way::Local(model) => {
            let way = LocalExchange::new(model, &plan.encoder.request);
            Ways::Local(vec![way; lanes])
        }
    })
}

async fn connections(plan: &Plan, part: Part, address: SocketAddr) -> io::Result<Vec<Arc<GrpcConnection>>> {
    let mut connections = Vec::new();
    for _ in 0..part.connections.min(part.lanes) {
        connections.push(GrpcConnection::connect(address, &plan.encoder.authority).await?);
    }
    Ok(connections)
}

/// Sends the first request of a lane by the first way.
pub(crate) async fn probe(ways: Ways, calls: Calls) -> Result<(), Fault> {
    match ways {
        Ways::Http(ways) => first(ways, calls).await,
        Ways::Grpc(ways) => first(ways, calls).await,
        Ways::Stream(ways) => first(ways, calls).await,
        Ways::Local(ways) => first(ways, calls).await,
    }
}

async fn first<E: Exchange>(ways: Vec<E>, mut calls: Calls) -> Result<(), Fault> {
    for mut way in ways.into_iter().take(1) {
        way.exchange(calls.next()).await?;
        if let Some(call) = calls.end() {
            way.exchange(call).await?;
        }
        way.close().await;
    }
    Ok(())
}

/// Starts a lane for each way. `lane` makes the lane of a number among those of the thread.
pub(crate) fn start(ways: Ways, lane: impl Fn(u32) -> Lane) -> JoinSet<()> {
    let mut lanes = JoinSet::new();
    macro_rules! spawn {
        ($ways:expr) => {
            for (number, way) in (0..).zip($ways) {
                lanes.spawn(lane(number).run(way));
            }
        };
    }
    match ways {
        Ways::Http(ways) => spawn!(ways),
        Ways::Grpc(ways) => spawn!(ways),
        Ways::Stream(ways) => spawn!(ways),
        Ways::Local(ways) => spawn!(ways),
    }
    lanes
}
