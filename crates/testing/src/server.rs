//! A running server for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_access::Access;
use hippocamp_backend::Backend;
use hippocamp_core::{ControlMode, HeaderForwarding, InferenceServer, Settings, WatchSettings};
use hippocamp_grpc::GrpcSettings;
use hippocamp_http::HttpSettings;
use hippocamp_net::{IoThreads, Limits, Network};
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_v1::V1;
use hippocamp_v1_grpc::V1GrpcFront;
use hippocamp_v1_http::V1HttpFront;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{HttpReply, LineProtocol, Repository, http};

/// A server with the built-in backends in explicit mode, with all models loaded. Stops when dropped.
#[derive(Debug)]
pub struct TestServer {
    pub core: Arc<InferenceServer>,
    pub repository: Repository,
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub metrics: SocketAddr,
    /// The port of the [`LineProtocol`].
    pub line: SocketAddr,
    pub network: Arc<Network>,
    fronts: JoinSet<()>,
    /// The I/O threads, if there are several.
    _threads: Option<IoThreads>,
    /// Ends when it is dropped.
    watching: JoinSet<()>,
}

impl TestServer {
    /// Starts a server. Panics if a model fails to load.
    pub async fn start(repository: Repository) -> TestServer {
        let (server, faults) = TestServer::start_with(repository, |_| {}).await;
        assert_eq!(faults, [""; 0], "every model should load");
        server
    }

    /// Starts a server with the given settings, and returns it with the faults of loading.
    pub async fn start_with(
        repository: Repository,
        change: impl FnOnce(&mut Settings),
    ) -> (TestServer, Vec<String>) {
        TestServer::start_with_backends(repository, change, vec![]).await
    }

    /// Starts a server with backends in addition to the built-in ones.
    pub async fn start_with_backends(
        repository: Repository,
        change: impl FnOnce(&mut Settings),
        more: Vec<Arc<dyn Backend>>,
    ) -> (TestServer, Vec<String>) {
        TestServer::start_within(limits(), repository, change, more).await
    }

    /// Starts a server with the given connection limits.
    pub async fn start_within(
        limits: Limits,
        repository: Repository,
        change: impl FnOnce(&mut Settings),
        more: Vec<Arc<dyn Backend>>,
    ) -> (TestServer, Vec<String>) {
        TestServer::start_on(io_threads(), limits, repository, change, more).await
    }

    /// Starts a server with so many I/O threads, beside the thread of the test; with 1, that thread serves.
    pub async fn start_on(
        io_threads: usize,
        limits: Limits,
        repository: Repository,
        change: impl FnOnce(&mut Settings),
        more: Vec<Arc<dyn Backend>>,
    ) -> (TestServer, Vec<String>) {
        let mut settings = Settings {
            background: Some(Handle::current()),
            repositories: vec![repository.path().into()],
            control_mode: ControlMode::Explicit,
            load_models: vec!["*".to_owned()],
            ..Settings::default()
        };
        change(&mut settings);
        let mut backends = hippocamp_backend_builtin::backends();
        backends.extend(more);
        let core = InferenceServer::new(settings, backends);
        let (network, threads) = network(io_threads, limits);
        let (http, grpc, metrics) = (listen().await, listen().await, listen().await);
        let line = listen().await;
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound socket has an address");
        let addresses = [address(&http), address(&grpc), address(&metrics), address(&line)];
        let mut fronts = JoinSet::new();
        let settings = HttpSettings::default();
        let shared = || (Arc::clone(&network), Arc::clone(&core));
        let (of_http, server) = shared();
        let v1 = V1::new(Arc::clone(&core));
        let v1_http =
            V1HttpFront::new(Arc::clone(&v1), &network, Access::open(), HeaderForwarding::default());
        fronts.spawn(hippocamp_http::serve(http, of_http, server, settings, |front| v1_http.beside(front)));
        let (of_metrics, server) = shared();
        fronts
            .spawn(hippocamp_http::serve_metrics(metrics, of_metrics, server, Access::open(), |front| front));
        let (of_grpc, server) = shared();
        let v1_grpc = V1GrpcFront::new(v1, &network, Access::open(), HeaderForwarding::default());
        let settings = GrpcSettings::default();
        fronts.spawn(hippocamp_grpc::serve(grpc, of_grpc, server, settings, |front| v1_grpc.beside(front)));
        let (of_line, server) = shared();
        fronts.spawn(hippocamp_net::serve_protocol(line, of_line, "line", LineProtocol::new(server)));
        let faults = core.load_repositories().await;
        core.begin_serving();
        let [http, grpc, metrics, line] = addresses;
        let watching = JoinSet::new();
        (
            TestServer {
                core,
                repository,
                http,
                grpc,
                metrics,
                line,
                network,
                fronts,
                _threads: threads,
                watching,
            },
            faults,
        )
    }

    /// Follows changes of the repository, as poll mode does.
    pub fn watch(&mut self, settings: WatchSettings) {
        self.watching.spawn(Arc::clone(&self.core).watch(settings));
    }

    /// A gRPC client with a connection of its own.
    pub async fn client(&self) -> GrpcInferenceServiceClient<Channel> {
        let address = format!("http://{}", self.grpc);
        let client =
            GrpcInferenceServiceClient::connect(address).await.expect("the server accepts connections");
        client.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
    }

    pub async fn get(&self, path: &str) -> HttpReply {
        http::send(self.http, "GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &[u8]) -> HttpReply {
        http::send(self.http, "POST", path, &[], body).await
    }

    /// Fetches the metrics page.
    pub async fn scrape(&self) -> HttpReply {
        self.get_metrics("/metrics").await
    }

    /// Fetches a path of the metrics port.
    pub async fn get_metrics(&self, path: &str) -> HttpReply {
        http::send(self.metrics, "GET", path, &[], b"").await
    }

    /// Stops as the binary does. True if everything that ran finished within `timeout`.
    pub async fn stop(mut self, timeout: Duration) -> bool {
        self.core.begin_stop();
        self.network.begin_drain();
        let fronts = async {
            self.network.drained().await;
            self.network.close();
            while self.fronts.join_next().await.is_some() {}
        };
        tokio::time::timeout(timeout, fronts).await.is_ok() && self.core.stop(timeout).await
    }
}

/// The limits of the binary, but without waiting for clients that hung up.
pub fn limits() -> Limits {
    Limits { half_close_time: Duration::from_millis(100), ..Limits::default() }
}

/// The number of I/O threads of the servers in tests that do not ask for one: `HIPPOCAMP_TEST_IO_THREADS`, or 1.
pub fn io_threads() -> usize {
    let count = std::env::var("HIPPOCAMP_TEST_IO_THREADS").ok();
    count.map_or(1, |count| count.parse().expect("HIPPOCAMP_TEST_IO_THREADS is a number"))
}

/// A network with so many I/O threads, which end when they are dropped; with 1, this thread serves.
pub fn network(io_threads: usize, limits: Limits) -> (Arc<Network>, Option<IoThreads>) {
    if io_threads <= 1 {
        return (Network::start(limits), None);
    }
    let threads = IoThreads::start(io_threads, 8 << 20).expect("threads can be started");
    (Network::start_on(limits, &threads), Some(threads))
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
