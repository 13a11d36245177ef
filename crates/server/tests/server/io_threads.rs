//! Several I/O threads. The other tests of this binary run with several, too, where `HIPPOCAMP_TEST_IO_THREADS` says so.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::Backend;
use hippocamp_proto::inference::ModelStreamInferResponse;
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config, identity_config, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::requests::{fp32, raw, values, with, with_flag};

const THREADS: usize = 4;

async fn start(repository: Repository, more: Vec<Arc<dyn Backend>>) -> TestServer {
    let (server, faults) = TestServer::start_on(THREADS, limits(), repository, |_| {}, more).await;
    assert_eq!(faults, [""; 0]);
    server
}

fn identity() -> Repository {
    Repository::default().with("m", &identity_config(0, ""))
}

/// The connections of each thread.
async fn connections(server: &TestServer) -> Vec<usize> {
    let page = server.scrape().await.text();
    let lines = page.lines().filter_map(|line| line.strip_prefix("nv_server_io_thread_connections{"));
    lines.map(|line| line.split_once("} ").unwrap().1.parse().unwrap()).collect()
}

#[tokio::test]
async fn connections_of_both_protocols_spread_over_all_threads() {
    let server = start(identity(), vec![]).await;
    let mut open = Vec::new();
    for _ in 0..THREADS {
        let mut socket = TcpStream::connect(server.http).await.unwrap();
        socket.write_all(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_ne!(socket.read(&mut [0; 9]).await.unwrap(), 0);
        open.push(socket);
    }
    assert_eq!(connections(&server).await, [1; THREADS]);
    let mut clients = Vec::new();
    for n in 0..THREADS as u8 {
        let mut client = server.client().await;
        let response = client.model_infer(fp32("m", "", &[1], &[f32::from(n)])).await.unwrap();
        assert_eq!(values(&response.into_inner()), [f32::from(n)]);
        clients.push(client);
    }
    assert_eq!(connections(&server).await, [2; THREADS]);
    drop(open);
    while connections(&server).await != [1; THREADS] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_runs_on_every_thread_is_answered_before_the_end() {
    let gate = Gate::default();
    let config = gate_config(0, "instance_group { count: 4 kind: KIND_CPU }");
    let server = start(Repository::default().with("m", &config), vec![Arc::new(gate.clone())]).await;
    let mut calls = Vec::new();
    for n in 1..=THREADS {
        let mut client = server.client().await;
        calls.push(tokio::spawn(async move { client.model_infer(fp32("m", "", &[1], &[1.0])).await }));
        gate.begun(n).await;
    }
    assert_eq!(connections(&server).await, [1; THREADS]);
    server.network.begin_drain();
    let mut late = server.client().await;
    let refused = late.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    gate.open(THREADS);
    assert!(server.stop(Duration::from_secs(20)).await);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_the_connections_of_its_threads() {
    let server = start(identity(), vec![]).await;
    let mut sockets = Vec::new();
    for _ in 0..2 * THREADS {
        sockets.push(TcpStream::connect(server.http).await.unwrap());
    }
    while connections(&server).await != [2; THREADS] {
        tokio::task::yield_now().await;
    }
    drop(server);
    for mut socket in sockets {
        // Closed, or reset.
        assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0);
    }
}

/// A model that answers each request of a sequence with the sum so far.
fn sums(backend: &str, strategy: &str) -> String {
    format!(
        "backend: \"{backend}\" max_batch_size: 4
        input {{ name: \"INPUT\" data_type: TYPE_INT32 dims: 1 }}
        output {{ name: \"OUTPUT\" data_type: TYPE_INT32 dims: 1 }}
        instance_group {{ count: 2 kind: KIND_CPU }}
        sequence_batching {{ {strategy}
            control_input {{ name: \"START\" control {{ kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }} }}
            control_input {{ name: \"READY\" control {{ kind: CONTROL_SEQUENCE_READY int32_false_true: [0, 1] }} }}
            control_input {{ name: \"CORRID\" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }} }}
        }}"
    )
}

/// Sends a sequence on a stream of its own connection, without waiting for answers. Returns the sums.
async fn send_sequence(mut client: GrpcInferenceServiceClient<Channel>, id: u64, length: i32) -> Vec<i32> {
    let requests = (1..=length).map(move |n| {
        let mut request = with(raw("m", "", "INT32", &[1, 1], n.to_le_bytes().to_vec()), "sequence_id", id);
        "INPUT".clone_into(&mut request.inputs[0].name);
        let request = if n == 1 { with_flag(request, "sequence_start") } else { request };
        if n == length { with_flag(request, "sequence_end") } else { request }
    });
    let replies = client.model_stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let sum = |reply: Result<ModelStreamInferResponse, Status>| {
        let reply = reply.unwrap();
        assert_eq!(reply.error_message, "");
        let data = &reply.infer_response.unwrap().raw_output_contents[0];
        i32::from_le_bytes(data[..].try_into().unwrap())
    };
    replies.map(sum).collect().await
}

#[tokio::test]
async fn sequences_of_many_connections_keep_their_order() {
    const LENGTH: i32 = 30;
    for model in
        [sums("sequence", "direct { }"), sums("dyna_sequence", "oldest { max_candidate_sequences: 8 }")]
    {
        let server = start(Repository::default().with("m", &model), vec![]).await;
        let mut sequences = Vec::new();
        for id in 1..=3 * THREADS as u64 {
            sequences.push(tokio::spawn(send_sequence(server.client().await, id, LENGTH)));
        }
        for (sequence, id) in sequences.into_iter().zip(1..) {
            let sums: Vec<i32> = (1..=LENGTH).map(|n| n * (n + 1) / 2).collect();
            assert_eq!(sequence.await.unwrap(), sums, "sequence {id}");
        }
    }
}
