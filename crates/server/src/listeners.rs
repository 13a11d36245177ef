//! Opens the ports before anything else, so that a port in use is reported at once.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};

use crate::args::Args;

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listening socket for each served protocol.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) http: Option<TcpListener>,
    pub(crate) grpc: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

impl Listeners {
    pub(crate) async fn open(args: &Args) -> anyhow::Result<Listeners> {
        let (http, grpc, metrics) = (&args.http, &args.grpc, &args.metrics);
        let metrics_address = metrics.metrics_address.as_ref().unwrap_or(&http.http_address);
        let http = open(http.allow_http, "http", &http.http_address, http.http_port, http.reuse_http_port);
        let grpc = open(grpc.allow_grpc, "grpc", &grpc.grpc_address, grpc.grpc_port, grpc.reuse_grpc_port);
        let metrics = open(metrics.allow_metrics, "metrics", metrics_address, metrics.metrics_port, false);
        Ok(Listeners { http: http.await?, grpc: grpc.await?, metrics: metrics.await? })
    }
}

async fn open(
    allowed: bool,
    protocol: &str,
    address: &str,
    port: u16,
    reuse: bool,
) -> anyhow::Result<Option<TcpListener>> {
    if !allowed {
        return Ok(None);
    }
    let listener = bind(address, port, reuse).await.with_context(|| {
        format!("failed to listen on {address}:{port}; choose another port with --{protocol}-port, or 0 for a free one")
    })?;
    Ok(Some(listener))
}

async fn bind(address: &str, port: u16, reuse: bool) -> anyhow::Result<TcpListener> {
    let address = tokio::net::lookup_host((address, port)).await?.next().context("no such address")?;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a server that was just stopped would block its port for a minute.
    socket.set_reuseaddr(true)?;
    if reuse {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    Ok(socket.listen(BACKLOG)?)
}
