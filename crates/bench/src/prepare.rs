//! From the command line to a request that the server has answered once.

mod local;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_client::{
    Answer, Failure, Protocol, Request, Result, Server, Target, completed, draw, plain_data, unreachable,
};
use tokio::net::{TcpStream, lookup_host};

use crate::args::BenchArgs;
use crate::calls::Calls;
use crate::connect::{Part, open, probe};
use crate::failure;
use crate::message::{Encoder, Encoding};
use crate::plan::{Load, Plan, Transport};
use crate::shared_memory::{Kind, SharedMemory};
pub(crate) use local::prepare_local;
pub(crate) use request::{Prepared, SEED, prepare_request};

/// A plan, and the connection that has what belongs to it.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) plan: Arc<Plan>,
    server: Option<Server>,
}

impl Ready {
    /// Tells the server that nothing is used any more.
    pub(crate) async fn finish(mut self) -> Result<()> {
        match (&mut self.server, &self.plan.encoder.memory) {
            (Some(server), Some(memory)) => memory.unregister(server).await,
            _ => Ok(()),
        }
    }
}

/// Reads the model's metadata, makes the request, and sends it once, so that what is wrong is told before the load begins.
pub(crate) async fn prepare(
    args: &BenchArgs,
    protocol: Protocol,
    authority: &str,
    loads: &[Load],
) -> Result<Ready> {
    check(args, protocol, loads)?;
    let mut server = connect(args, protocol, authority).await?;
    let target = target(args);
    let metadata = completed(server.metadata(&target).await?, &args.inputs, &args.shapes)?;
    let prepared = prepare_request(args, &metadata, SEED)?;
    ready(args, server, Place { protocol, authority }, target, prepared, loads).await
}

/// Connects to a server.
pub(crate) async fn connect(args: &BenchArgs, protocol: Protocol, authority: &str) -> Result<Server> {
    let headers = args.access.headers()?;
    Server::connect(protocol, authority, Duration::from_secs(args.timeout), &headers).await
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) authority: &'a str,
}

/// Sends a request once, and makes the plan to send it again and again.
pub(crate) async fn ready(
    args: &BenchArgs,
    mut server: Server,
    place: Place<'_>,
    target: Target,
    prepared: Prepared,
    loads: &[Load],
) -> Result<Ready> {
    let Prepared { request, file } = prepared;
    let authority = place.authority;
    let address = resolve(authority).await?;
    let (transport, encoding) = match place.protocol {
        Protocol::Http => (Transport::Http(address), Encoding::Http),
        Protocol::Grpc if args.stream => (Transport::Stream(address), Encoding::Stream),
        Protocol::Grpc => (Transport::Grpc(address), Encoding::Grpc),
    };
    let json = if server.takes_binary().await {
        None
    } else {
        Some(request.inputs.iter().map(plain_data).collect::<Result<_>>()?)
    };
    let authority = authority.to_owned();
    let headers = args.access.headers()?;
    let encoder = Encoder { encoding, authority, headers, target, request, memory: None, plain: json };
    let mut plan = plan(args, transport, encoder);
    // A decoupled model answers streams only.
    if !args.stream || args.shared_memory.is_some() {
        let answer = ask(&mut server, &plan).await?;
        if let Some(target) = &args.draw {
            draw(&answer, file.as_deref(), args.threshold, target)?;
        }
        if let Some(kind) = Kind::of(args) {
            let workers = loads.iter().map(|load| load.workers()).max().unwrap_or(1);
            let request = &plan.encoder.request;
            let memory = SharedMemory::register(&mut server, request, &answer, workers, &kind).await?;
            plan.encoder.memory = Some(Arc::new(memory));
        }
    }
    let ready = Ready { plan: Arc::new(plan), server: Some(server) };
    if (args.stream || args.shared_memory.is_some())
        && let Err(failure) = send_once(&ready.plan).await
    {
        drop(ready.finish().await);
        return Err(failure);
    }
    Ok(ready)
}

fn target(args: &BenchArgs) -> Target {
    Target { model: args.model().to_owned(), version: args.model_version.clone().unwrap_or_default() }
}

fn plan(args: &BenchArgs, transport: Transport, encoder: Encoder) -> Plan {
    Plan {
        transport,
        encoder,
        sequence: args.sequences.is_some().then_some(args.length),
        seconds: Duration::from_secs_f64(args.seconds),
        requests: args.requests,
        warm_up: Duration::from_secs_f64(args.warm_up),
        stop: None,
        timeout: Duration::from_secs(args.timeout),
        connections: args.connections,
        threads: args.threads,
    }
}

pub(crate) fn check(args: &BenchArgs, protocol: Protocol, loads: &[Load]) -> Result<()> {
    if args.stream && protocol == Protocol::Http {
        return failure("--stream is of gRPC; use --protocol grpc, and its port, 8001 by default");
    }
    let differs = |connections| loads.iter().any(|load| load.workers() != connections);
    if protocol == Protocol::Http && args.connections.is_some_and(differs) {
        return failure(
            "--connections: over HTTP each request under way has a connection of its own; leave it out, or use \
             --protocol grpc",
        );
    }
    Ok(())
}

/// Sends the request once with its tensors in it, as a sequence of its own if requests belong to sequences.
async fn ask(server: &mut Server, plan: &Plan) -> Result<Answer> {
    let mut request: Request = plan.encoder.request.clone();
    if plan.sequence.is_some() {
        let step = crate::sequence::Sequences::new(1).next();
        request.parameters.extend(step.parameters().map(|(key, value)| (key.to_owned(), value)));
    }
    let answer = server.infer(&plan.encoder.target, &request).await;
    answer.map_err(|failure| {
        let text = failure.to_string();
        if text.contains("decoupled") {
            Failure::new(format!("{text}\nask it by --stream over gRPC"))
        } else {
            failure
        }
    })
}

/// Sends one request as those of the load are sent.
async fn send_once(plan: &Arc<Plan>) -> Result<()> {
    let part = Part { first_worker: 0, workers: 1, connections: 1, may_block: false };
    let exchanges = open(plan, part).await.map_err(|why| unreachable(&plan.encoder.authority, why))?;
    match tokio::time::timeout(plan.timeout, probe(exchanges, Calls::new(plan, 0))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => failure(fault.text()),
        Err(_) => failure(format!("no answer in {:?}; --timeout allows more", plan.timeout)),
    }
}

/// The first address of the server that takes connections.
async fn resolve(authority: &str) -> Result<SocketAddr> {
    let mut last = "its name has no address".to_owned();
    for address in lookup_host(authority).await.map_err(|why| unreachable(authority, why))? {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(address),
            Err(why) => last = why.to_string(),
        }
    }
    Err(unreachable(authority, last))
}
