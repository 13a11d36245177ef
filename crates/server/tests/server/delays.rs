//! Triton's test hooks that delay gRPC calls, so that a test can cancel them at each moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_grpc::{CompressionLevel, GrpcSettings, TestDelays};
use hippocamp_net::{IoThreads, Limits};
use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config, io_threads, network};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::requests::fp32;

const FOR_EVER: Duration = Duration::from_hours(1);
const A_WHILE: Duration = Duration::from_millis(200);

/// A server of a model `m` behind a gate, and a gRPC port where calls are delayed.
struct Held {
    server: TestServer,
    gate: Gate,
    client: GrpcInferenceServiceClient<Channel>,
    _front: JoinSet<()>,
    _threads: Option<IoThreads>,
}

impl Held {
    async fn new(delays: TestDelays) -> Held {
        let gate = Gate::default();
        let repository = Repository::default().with("m", &gate_config(0, ""));
        let (server, _) =
            TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings =
            GrpcSettings { delays, response_compression: CompressionLevel::Low, ..GrpcSettings::default() };
        let (network, threads) = network(io_threads(), Limits::default());
        let mut front = JoinSet::new();
        front.spawn(hippocamp_grpc::serve(listener, network, Arc::clone(&server.core), settings, |front| {
            front
        }));
        let client = GrpcInferenceServiceClient::connect(address).await.unwrap();
        Held { server, gate, client, _front: front, _threads: threads }
    }

    /// Starts a call on one of the two paths: plain messages or compressed ones.
    fn call(&self, compressed: bool) -> JoinHandle<Result<tonic::Response<ModelInferResponse>, Status>> {
        let mut client = self.client.clone();
        if compressed {
            client = client.accept_compressed(CompressionEncoding::Gzip);
        }
        tokio::spawn(async move { client.model_infer(fp32("m", "held", &[1], &[0.0])).await })
    }

    fn successes(&self) -> u64 {
        self.server.core.statistics("m", None).unwrap()[0].counters.success.count
    }
}

#[tokio::test]
async fn a_request_is_held_before_it_is_looked_at() {
    let held = Held::new(TestDelays { process: A_WHILE, ..TestDelays::default() }).await;
    held.gate.open(2);
    for compressed in [false, true] {
        let begin = Instant::now();
        held.call(compressed).await.unwrap().unwrap();
        assert!(begin.elapsed() >= A_WHILE);
    }
}

#[tokio::test]
async fn a_cancellation_is_held() {
    let held = Held::new(TestDelays { notification: A_WHILE, ..TestDelays::default() }).await;
    for (calls, compressed) in [(1, false), (2, true)] {
        let call = held.call(compressed);
        held.gate.begun(calls).await;
        let begin = Instant::now();
        call.abort();
        while held.gate.abandoned() < calls {
            yield_now().await;
        }
        assert!(begin.elapsed() >= A_WHILE);
    }
}

#[tokio::test]
async fn an_answer_is_held_when_the_model_has_given_it() {
    let held = Held::new(TestDelays { response_completion: FOR_EVER, ..TestDelays::default() }).await;
    held.gate.open(2);
    for (answers, compressed) in [(1, false), (2, true)] {
        let call = held.call(compressed);
        while held.successes() < answers {
            yield_now().await;
        }
        assert!(!call.is_finished());
        call.abort();
    }
}

#[tokio::test]
async fn answers_of_a_stream_are_held() {
    let held = Held::new(TestDelays { response: A_WHILE, ..TestDelays::default() }).await;
    held.gate.open(1);
    let begin = Instant::now();
    let requests = tokio_stream::once(fp32("m", "held", &[1], &[0.0]));
    let mut replies = held.client.clone().model_stream_infer(requests).await.unwrap().into_inner();
    let reply = replies.message().await.unwrap().unwrap();
    assert_eq!((reply.error_message.as_str(), reply.infer_response.unwrap().id.as_str()), ("", "held"));
    assert!(begin.elapsed() >= A_WHILE);
}
