//! The connection to a server over either protocol.

use std::time::Duration;

use crate::access::Headers;
use crate::answer::{Answer, Metadata, Request};
use crate::args::Protocol;
use crate::failure::{Failure, Result, fail};
use crate::grpc::GrpcServer;
use crate::http::HttpServer;

/// A connected server.
#[derive(Debug)]
pub struct Server(Connection);

#[derive(Debug)]
enum Connection {
    Http(HttpServer),
    Grpc(GrpcServer),
}

/// The model that a request is for.
#[derive(Clone, Debug)]
pub struct Target {
    pub model: String,
    /// The version; empty lets the server choose.
    pub version: String,
}

impl Server {
    /// Connects to `address`, which is `HOST:PORT`. `timeout` is also that of every request, and each has these headers.
    pub async fn connect(
        protocol: Protocol,
        address: &str,
        timeout: Duration,
        headers: &Headers,
    ) -> Result<Server> {
        if let Some((scheme, _)) = address.split_once("://") {
            // Never without TLS where TLS was asked for.
            fail!(
                "{scheme}:// is not supported: let a proxy on this machine speak TLS, and name it by http:// or grpc://"
            );
        }
        if let Some((host, path)) = address.split_once('/') {
            fail!("a server is named by --url HOST:PORT, here by '{host}': '/{path}' is no part of it");
        }
        let connection = match protocol {
            Protocol::Http => HttpServer::connect(address, timeout, headers).await.map(Connection::Http),
            Protocol::Grpc => GrpcServer::connect(address, timeout, headers).await.map(Connection::Grpc),
        };
        connection.map(Server)
    }

    /// The metadata of a model. If there is no such model, the failure lists the models that are ready.
    pub async fn metadata(&mut self, target: &Target) -> Result<Metadata> {
        let metadata = match &mut self.0 {
            Connection::Http(server) => server.metadata(target).await,
            Connection::Grpc(server) => server.metadata(target).await,
        };
        match metadata {
            Ok(metadata) => Ok(metadata),
            Err(failure) => Err(self.with_models(failure).await),
        }
    }

    /// Whether the server takes tensors as bytes, as `infer` sends them then. One over HTTP may take JSON alone.
    pub async fn takes_binary(&mut self) -> bool {
        match &mut self.0 {
            Connection::Http(server) => server.takes_binary().await,
            Connection::Grpc(_) => true,
        }
    }

    /// Sends a request and waits for its response.
    pub async fn infer(&mut self, target: &Target, request: &Request) -> Result<Answer> {
        match &mut self.0 {
            Connection::Http(server) => server.infer(target, request).await,
            Connection::Grpc(server) => server.infer(target, request).await,
        }
    }

    /// Registers a system shared memory object of the server's machine under a name. `key` is the object's name in /dev/shm,
    /// `size` its length in bytes.
    pub async fn register_shared_memory(&mut self, name: &str, key: &str, size: u64) -> Result<()> {
        match &mut self.0 {
            Connection::Http(server) => server.register_shared_memory(name, key, size).await,
            Connection::Grpc(server) => server.register_shared_memory(name, key, size).await,
        }
    }

    /// Registers memory of a GPU of the server's machine under a name. `handle` is what CUDA calls an IPC handle.
    pub async fn register_cuda_shared_memory(
        &mut self,
        name: &str,
        handle: &[u8],
        gpu: i32,
        size: u64,
    ) -> Result<()> {
        match &mut self.0 {
            Connection::Http(server) => server.register_cuda_shared_memory(name, handle, gpu, size).await,
            Connection::Grpc(server) => server.register_cuda_shared_memory(name, handle, gpu, size).await,
        }
    }

    /// Undoes [`Server::register_cuda_shared_memory`].
    pub async fn unregister_cuda_shared_memory(&mut self, name: &str) -> Result<()> {
        match &mut self.0 {
            Connection::Http(server) => server.unregister_cuda_shared_memory(name).await,
            Connection::Grpc(server) => server.unregister_cuda_shared_memory(name).await,
        }
    }

    /// Undoes [`Server::register_shared_memory`].
    pub async fn unregister_shared_memory(&mut self, name: &str) -> Result<()> {
        match &mut self.0 {
            Connection::Http(server) => server.unregister_shared_memory(name).await,
            Connection::Grpc(server) => server.unregister_shared_memory(name).await,
        }
    }

    async fn with_models(&mut self, failure: Failure) -> Failure {
        let index = match &mut self.0 {
            Connection::Http(server) => server.index().await,
            Connection::Grpc(server) => server.index().await,
        };
        match index {
            Ok(mut models) if !models.is_empty() => {
                models.sort();
                models.dedup();
                Failure::new(format!("{failure}\nready at this server: {}", models.join(", ")))
            }
            Ok(_) => Failure::new(format!("{failure}\nno model is ready at this server")),
            Err(_) => failure,
        }
    }
}

/// Protocol and `HOST:PORT`, derived from the command line.
pub fn place(url: Option<&str>, protocol: Option<Protocol>) -> (Protocol, String) {
    let url = url.unwrap_or_default().trim_end_matches('/');
    // What is no scheme of ours stays, for the connection to refuse it.
    let (scheme, address) = match url.split_once("://") {
        Some((scheme @ ("http" | "grpc"), address)) => (scheme, address),
        _ => ("", url),
    };
    let by_name = match scheme {
        "grpc" => Some(Protocol::Grpc),
        "http" => Some(Protocol::Http),
        _ => None,
    };
    let by_port = if address.ends_with(":8001") { Protocol::Grpc } else { Protocol::Http };
    let protocol = protocol.or(by_name).unwrap_or(by_port);
    let port = if protocol == Protocol::Grpc { 8001 } else { 8000 };
    let address = match address {
        "" => format!("localhost:{port}"),
        // One with a path is refused when it is connected to.
        address if has_port(address) || address.contains('/') => address.to_owned(),
        address => format!("{address}:{port}"),
    };
    (protocol, address)
}

fn has_port(address: &str) -> bool {
    let after_host = address.rfind(']').map_or(address, |end| &address[end..]);
    after_host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// The failure if no connection can be made.
pub fn unreachable(address: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!(
        "no server answers at {address}: {why}\nstart one by `hippocamp --model-repository=PATH`, or name another one by \
         --url HOST:PORT"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_asks_for_tls_is_refused_before_anything_is_sent() {
        for url in ["https://127.0.0.1:8000", "grpcs://127.0.0.1:8001", "https://127.0.0.1"] {
            let (protocol, address) = place(Some(url), None);
            let (second, none) = (Duration::from_secs(1), Headers::default());
            let refused = Server::connect(protocol, &address, second, &none).await.unwrap_err();
            assert!(refused.to_string().contains(":// is not supported"), "{url}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_path_is_no_part_of_a_server() {
        for (url, protocol) in [("http://127.0.0.1:1/v2", None), ("127.0.0.1/v2", Some(Protocol::Grpc))] {
            let (protocol, address) = place(Some(url), protocol);
            let (second, none) = (Duration::from_secs(1), Headers::default());
            let refused = Server::connect(protocol, &address, second, &none).await.unwrap_err().to_string();
            assert!(
                refused.contains("by --url HOST:PORT") && refused.contains("'/v2' is no part"),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_protocol_follows_from_the_url_unless_it_is_said() {
        let (http, grpc) = (Protocol::Http, Protocol::Grpc);
        let cases = [
            (None, None, (http, "localhost:8000")),
            (None, Some(grpc), (grpc, "localhost:8001")),
            (Some("host:8001"), None, (grpc, "host:8001")),
            (Some("host:8001"), Some(http), (http, "host:8001")),
            (Some("http://host:9/"), None, (http, "host:9")),
            (Some("grpc://host"), None, (grpc, "host:8001")),
            (Some("host"), None, (http, "host:8000")),
            (Some("[::1]:80"), None, (http, "[::1]:80")),
            (Some("[::1]"), None, (http, "[::1]:8000")),
            (Some("https://host:443"), None, (http, "https://host:443")),
        ];
        for (url, protocol, (want, address)) in cases {
            assert_eq!(place(url, protocol), (want, address.to_owned()), "{url:?} {protocol:?}");
        }
    }
}
