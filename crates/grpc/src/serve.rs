//! The gRPC server: connections in, calls out.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::InferenceServer;
use hippocamp_proto::health::health_server::HealthServer;
use hippocamp_proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::health::HealthService;
use crate::held_writes::HeldWrites;
use crate::model_infer::ModelInfer;
use crate::service::InferenceService;
use crate::whole_messages::Whole;

/// Large enough that a tensor of usual size never waits for the peer to allow more.
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// The largest frame that is accepted: fewer frames for a large tensor, if the client makes use of it.
const FRAME_SIZE: u32 = 1 << 20;

/// As large as the length of a message can be for other implementations, in both directions.
pub(crate) const MESSAGE_SIZE: usize = i32::MAX as usize;

/// Settings of this protocol.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// How replies to inference requests are compressed for clients that take it; none by default.
    pub response_compression: bool,
    /// A connection that was silent that long is asked whether it is alive.
    pub keepalive_time: Duration,
    /// And closed if it does not answer within this time.
    pub keepalive_timeout: Duration,
    /// Connections are closed at that age, and what still runs on them after the grace.
    pub max_connection_age: Option<Duration>,
    pub max_connection_age_grace: Option<Duration>,
}

impl Default for GrpcSettings {
    /// The defaults of the command line.
    fn default() -> Self {
        GrpcSettings {
            response_compression: false,
            keepalive_time: Duration::from_hours(2),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_connection_age_grace: None,
        }
    }
}

/// Serves until `stop` completes, then takes no more connections, lets running calls finish and returns.
pub async fn serve(
    listener: TcpListener,
    server: Arc<InferenceServer>,
    settings: GrpcSettings,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (stop_streams, stopping) = watch::channel(false);
    let stop = async move {
        stop.await;
        stop_streams.send_replace(true);
    };
    let service = InferenceService { server: Arc::clone(&server), stopping };
    let mut inference = GrpcInferenceServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_SIZE)
        .max_encoding_message_size(MESSAGE_SIZE)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate);
    if settings.response_compression {
        inference = inference
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Deflate);
    }
    let inference = ModelInfer {
        server: Arc::clone(&server),
        others: Whole(inference),
        response_compression: settings.response_compression,
    };
    let health = HealthServer::new(HealthService { server });
    let mut http2 = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE)
        .http2_keepalive_interval(Some(settings.keepalive_time))
        .http2_keepalive_timeout(Some(settings.keepalive_timeout));
    if let Some(age) = settings.max_connection_age {
        http2 = http2.max_connection_age(age);
    }
    if let Some(grace) = settings.max_connection_age_grace {
        http2 = http2.max_connection_age_grace(grace);
    }
    // Tonic ignores its own setting for a listener that it did not open.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = incoming.map(|connection| connection.map(HeldWrites::new));
    let services = http2.add_service(inference).add_service(Whole(health));
    services.serve_with_incoming_shutdown(incoming, stop).await
}
