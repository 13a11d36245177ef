//! The gRPC port, and its settings.

use std::sync::Arc;

use hippocamp_access::Access;
use hippocamp_core::{HeaderForwarding, InferenceServer};
use hippocamp_net::{Front, Http2, Listener, Network, Port};
use tonic::body::Body;

use crate::compression::CompressionLevel;
use crate::delays::TestDelays;
use crate::front::GrpcFront;
use crate::infer;
use crate::metadata_limit::{ASKED, MetadataLimit};

/// Settings of this protocol.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// How replies to inference requests are compressed for clients that take it; none by default.
    pub response_compression: CompressionLevel,
    /// Whether clients may ask which services there are, and how their messages are written.
    pub reflection: bool,
    /// The full names of the services that are mounted on this port beside those of KServe v2, for that.
    pub mounted_services: &'static [&'static str],
    /// Pings, and the age at which connections are closed.
    pub http2: Http2,
    /// Which metadata of inference calls become parameters of the requests.
    pub header_forwarding: HeaderForwarding,
    /// Who may make which call.
    pub access: Access,
    /// For tests of cancellation; none by default.
    pub delays: TestDelays,
}

impl Default for GrpcSettings {
    /// The defaults of the command line.
    fn default() -> Self {
        GrpcSettings {
            response_compression: CompressionLevel::None,
            reflection: true,
            mounted_services: &[],
            http2: Http2::default(),
            header_forwarding: HeaderForwarding::default(),
            access: Access::open(),
            delays: TestDelays::default(),
        }
    }
}

/// Serves until the network closes and the last connection is done. `mount` adds further services to the port, if there are
/// any: it makes a front of this one.
pub async fn serve<F: Front<Body = Body>>(
    listener: impl Into<Listener>,
    network: Arc<Network>,
    server: Arc<InferenceServer>,
    settings: GrpcSettings,
    mount: impl FnOnce(GrpcFront) -> F,
) {
    let delays = settings.delays.shared();
    let forwarding = settings.header_forwarding.clone();
    let calls = infer::Inference { server, delays, large_copy: network.large_copy(), forwarding };
    let front = GrpcFront::new(calls, network.phase(), &settings);
    let http2 = Http2 { max_header_list_size: Some(ASKED), ..settings.http2 };
    let port = Port { name: "grpc", http1: false, http2, counted: true };
    hippocamp_net::serve(listener, network, port, MetadataLimit(mount(front))).await;
}
