//! Several I/O threads. The other tests of this binary run with several, too, where `HIPPOCAMP_TEST_IO_THREADS` says so.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::Backend;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config, identity_config, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::requests::{fp32, values};

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
