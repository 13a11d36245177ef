//! Opens the ports before anything else, so that a port in use is reported at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use hippocamp_net::Listener;
use hippocamp_tls::Tls;
use tokio::net::{TcpListener, TcpSocket};

use hippocamp_torchserve::TorchServeConfig;
use hippocamp_torchserve_http::Parts;

use crate::args::Args;
use crate::console::ConsoleListeners;
use crate::torchserve::{Addresses, TorchServeListeners};
use crate::unix_socket::{self, SocketFile};

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What an address begins with that is the path of a unix socket.
const UNIX: &str = "unix:";

/// The listening sockets of each served protocol.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) http: Vec<Listener>,
    pub(crate) grpc: Vec<Listener>,
    /// Of the metrics and of the console.
    pub(crate) console: ConsoleListeners,
    pub(crate) torchserve: TorchServeListeners,
    /// The TLS of the ports that have it.
    pub(crate) tls: Vec<Arc<Tls>>,
    /// Removed when the server ends.
    pub(crate) socket_files: Vec<SocketFile>,
}

/// What a port's flags say.
struct Wanted<'a> {
    protocol: &'static str,
    address: &'a str,
    port: u16,
    reuse: bool,
    unix: Option<&'a PathBuf>,
    tls: Option<Arc<Tls>>,
}

impl<'a> Wanted<'a> {
    /// A port without anything special.
    fn plain(protocol: &'static str, address: &'a str, port: u16) -> Wanted<'a> {
        Wanted { protocol, address, port, reuse: false, unix: None, tls: None }
    }
}

impl Listeners {
    pub(crate) async fn open(args: &Args, config: &TorchServeConfig) -> anyhow::Result<Listeners> {
        let (http, grpc, metrics, unix) = (&args.http, &args.grpc, &args.metrics, &args.unix_socket);
        let mode = unix.unix_socket_mode;
        let mut listeners = Listeners::default();
        if http.allow_http {
            let wanted = Wanted {
                protocol: "http",
                address: &http.http_address,
                port: http.http_port,
                reuse: http.reuse_http_port,
                unix: unix.http_unix_socket.as_ref(),
                tls: args.http_tls.open()?,
            };
            listeners.http = listeners.add(wanted, mode).await?;
        }
        if grpc.allow_grpc {
            let wanted = Wanted {
                protocol: "grpc",
                address: &grpc.grpc_address,
                port: grpc.grpc_port,
                reuse: grpc.reuse_grpc_port,
                unix: unix.grpc_unix_socket.as_ref(),
                tls: args.grpc_tls.open()?,
            };
            listeners.grpc = listeners.add(wanted, mode).await?;
        }
        let address = metrics_address(args);
        if metrics.allow_metrics {
            let tls = args.metrics_tls.open()?;
            let wanted = Wanted { tls, ..Wanted::plain("metrics", address, metrics.metrics_port) };
            listeners.console.metrics = listeners.add(wanted, mode).await?;
        }
        if let Some(port) = args.console.console_port.filter(|_| args.console.allow_console != Some(false)) {
            let wanted = Wanted { tls: args.metrics_tls.open()?, ..Wanted::plain("console", address, port) };
            listeners.console.own = listeners.add(wanted, mode).await?;
        }
        listeners.open_torchserve(&Addresses::of(&args.torchserve, config)).await?;
        Ok(listeners)
    }

    async fn open_torchserve(&mut self, addresses: &Addresses) -> anyhow::Result<()> {
        for (address, port, parts) in &addresses.http {
            let flag = match parts {
                Parts { inference: true, .. } => "ts-inference",
                Parts { management: true, .. } => "ts-management",
                Parts { .. } => "ts-metrics",
            };
            let opened = self.add(Wanted::plain(flag, address, *port), 0).await?;
            self.torchserve.http.extend(opened.into_iter().map(|listener| (listener, *parts)));
        }
        for (address, port, services) in &addresses.grpc {
            let flag = if services.inference { "ts-grpc-inference" } else { "ts-grpc-management" };
            let opened = self.add(Wanted::plain(flag, address, *port), 0).await?;
            self.torchserve.grpc.extend(opened.into_iter().map(|listener| (listener, *services)));
        }
        Ok(())
    }

    async fn add(&mut self, wanted: Wanted<'_>, mode: u32) -> anyhow::Result<Vec<Listener>> {
        let Wanted { protocol, address, port, reuse, unix, tls } = wanted;
        let mut opened = Vec::new();
        let (only, port) = match address.strip_prefix(UNIX) {
            // Clients of gRPC write `unix:///path` as well.
            Some(path) => (Some(Path::new(path.strip_prefix("//").unwrap_or(path))), None),
            None => (None, Some(port)),
        };
        if let Some(port) = port {
            let listener = bind(address, port, reuse).await.with_context(|| {
                format!(
                    "failed to listen on {address}:{port}; choose another port with --{protocol}-port, or 0 for a free one"
                )
            })?;
            opened.push(Listener::from(listener));
        }
        for path in only.into_iter().chain(unix.map(PathBuf::as_path)) {
            let (listener, file) = unix_socket::open(path, mode)
                .with_context(|| format!("failed to listen on the unix socket '{}'", path.display()))?;
            self.socket_files.push(file);
            opened.push(Listener::from(listener));
        }
        self.tls.extend(tls.clone());
        Ok(opened.into_iter().map(|listener| listener.with_tls(tls.clone())).collect())
    }
}

/// The address of the metrics and of the console. Where HTTP has only a unix socket, it is the loopback's.
pub(crate) fn metrics_address(args: &Args) -> &str {
    let of_http = Some(&args.http.http_address).filter(|address| !address.starts_with(UNIX));
    args.metrics.metrics_address.as_ref().or(of_http).map_or("127.0.0.1", String::as_str)
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
