//! What only shows on a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hippocamp_access::Access;
use hippocamp_net::{Limits, Network};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use super::gate::News;
use super::{Fixture, pair};
use crate::{HttpSettings, serve, serve_metrics};

const MAX_INPUT_SIZE: usize = 100_000;

struct Served {
    fixture: Fixture,
    address: SocketAddr,
    network: Arc<Network>,
    done: JoinHandle<()>,
}

impl Served {
    async fn new() -> Served {
        let fixture = Fixture::new(&[]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let network = Network::start(limits());
        let server = Arc::clone(&fixture.front.server);
        let settings = HttpSettings { max_input_size: MAX_INPUT_SIZE, ..HttpSettings::default() };
        let done = tokio::spawn(serve(listener, Arc::clone(&network), server, settings, |front| front));
        Served { fixture, address, network, done }
    }
}

/// Clients that hang up are soon given up.
fn limits() -> Limits {
    Limits { half_close_time: Duration::from_millis(100), ..Limits::default() }
}

/// A connection and what it reads.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Client {
        Client(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Status line, headers in lower case, body.
    fn read(&mut self) -> (String, String, Vec<u8>) {
        let mut status = String::new();
        self.0.read_line(&mut status).unwrap();
        let mut head = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line.to_lowercase());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        (status.trim().to_owned(), head, body)
    }
}

fn post(model: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_serves_many_requests() {
    let served = Served::new().await;
    let address = served.address;
    spawn_blocking(move || {
        let mut client = Client::new(address);
        let body = pair("");
        for _ in 0..3 {
            client.write(&post("pair", &format!("Content-Length: {}\r\n", body.len()), body.as_bytes()));
            let (status, head, body) = client.read();
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert!(head.contains("content-type: application/json"));
            assert!(body.starts_with(b"{\"model_name\":\"pair\""));
            // A refusal keeps the connection, whether its body was of use or not.
            client.write(&post("nope", "Content-Length: 5\r\n", b"hello"));
            assert_eq!(client.read().0, "HTTP/1.1 404 Not Found");
            client.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n");
            let (status, head, _) = client.read();
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert!(head.contains("content-type: application/json") && head.contains("content-length: 13"));
            client.write(b"HEAD /v2 HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/foo HTTP/1.1\r\nHost: x\r\n\r\n");
            let mut line = String::new();
            while !line.starts_with("HTTP/1.1 404") {
                line.clear();
                assert_ne!(client.0.read_line(&mut line).unwrap(), 0);
            }
            client.0.read_line(&mut line).unwrap();
            client = Client::new(address);
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunked_bodies_and_clients_that_ask_before_they_send() {
    let served = Served::new().await;
    let address = served.address;
    spawn_blocking(move || {
        let mut client = Client::new(address);
        let body = pair("");
        client.write(&post("pair", "Transfer-Encoding: chunked\r\n", b""));
        for piece in body.as_bytes().chunks(7) {
            client.write(format!("{:x}\r\n", piece.len()).as_bytes());
            client.write(piece);
            client.write(b"\r\n");
        }
        client.write(b"0\r\n\r\n");
        assert_eq!(client.read().0, "HTTP/1.1 200 OK");
        client.write(&post("pair", &format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()), b""));
        assert_eq!(client.read().0, "HTTP/1.1 100 Continue");
        client.write(body.as_bytes());
        assert_eq!(client.read().0, "HTTP/1.1 200 OK");
        // A refusal comes at once.
        client.write(&post("nope", "Content-Length: 99\r\nExpect: 100-continue\r\n", b""));
        assert_eq!(client.read().0, "HTTP/1.1 404 Not Found");
        // What curl sends: a raw request with a type of its own.
        let mut client = Client::new(address);
        let headers = "Content-Length: 4\r\nInference-Header-Content-Length: 0\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        client.write(&post("fp32", headers, &1.5f32.to_le_bytes()));
        let (status, head, body) = client.read();
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(head.contains("inference-header-content-length: "));
        assert!(body.ends_with(&1.5f32.to_le_bytes()));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_too_much_gets_to_read_why() {
    let served = Served::new().await;
    let address = served.address;
    spawn_blocking(move || {
        let mut client = Client::new(address);
        let body = vec![b' '; 40 * MAX_INPUT_SIZE];
        client.write(&post("pair", &format!("Content-Length: {}\r\n", body.len()), &body));
        let (status, _, text) = client.read();
        assert_eq!(status, "HTTP/1.1 400 Bad Request");
        assert!(text.starts_with(b"{\"error\":\"request JSON size of 4000000 bytes exceeds"));
        client.write(&post("pair", "Transfer-Encoding: chunked\r\n", b""));
        for piece in body.chunks(MAX_INPUT_SIZE / 2) {
            client.write(format!("{:x}\r\n", piece.len()).as_bytes());
            client.write(piece);
            client.write(b"\r\n");
        }
        client.write(b"0\r\n\r\n");
        let (status, _, text) = client.read();
        assert_eq!(status, "HTTP/1.1 400 Bad Request");
        assert!(text.starts_with(b"{\"error\":\"request JSON size exceeds"));
        client.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.read().0, "HTTP/1.1 200 OK");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_cancels_its_request() {
    let served = Served::new().await;
    let address = served.address;
    let gate = served.fixture.gate.clone();
    spawn_blocking(move || {
        let mut client = Client::new(address);
        client.write(&post("gate", "Content-Length: 1\r\nInference-Header-Content-Length: 0\r\n", b"x"));
        assert_eq!(gate.news(), News::Started);
        drop(client);
        assert_eq!(gate.news(), News::Cancelled);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_running_requests_finish() {
    let served = Served::new().await;
    let (address, gate) = (served.address, served.fixture.gate.clone());
    let request = post("gate", "Content-Length: 1\r\nInference-Header-Content-Length: 0\r\n", b"x");
    let mut idle = Client::new(address);
    let mut busy = Client::new(address);
    idle.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    let (mut idle, busy, gate) = spawn_blocking(move || {
        assert_eq!(idle.read().0, "HTTP/1.1 200 OK");
        busy.write(&request);
        assert_eq!(gate.news(), News::Started);
        (idle, busy, gate)
    })
    .await
    .unwrap();
    served.network.begin_drain();
    let busy = spawn_blocking(move || {
        // A connection that is open may ask once more, a new one only for the health.
        idle.write(b"GET /v2/models/pair/ready HTTP/1.1\r\nHost: x\r\n\r\n");
        let (status, head, _) = idle.read();
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(idle.0.read(&mut [0]).unwrap(), 0);
        for (path, status) in [("/v2/health/live", 200), ("/v2/models/pair/ready", 503)] {
            let mut late = Client::new(address);
            late.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            let (line, head, _) = late.read();
            assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
            assert!(head.contains("connection: close"), "{head}");
        }
        busy
    })
    .await
    .unwrap();
    assert!(!served.done.is_finished());
    gate.open();
    served.network.drained().await;
    served.network.close();
    let mut busy = busy;
    let (status, ..) = spawn_blocking(move || busy.read()).await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    served.done.await.unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_port() {
    let fixture = Fixture::new(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let network = Network::start(limits());
    let server = Arc::clone(&fixture.front.server);
    let done =
        tokio::spawn(serve_metrics(listener, Arc::clone(&network), server, Access::open(), |front| front));
    spawn_blocking(move || {
        let mut client = Client::new(address);
        client.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        let (status, _, body) = client.read();
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(body.starts_with(b"# HELP"));
        let page = String::from_utf8(body).unwrap();
        assert!(page.contains("\nnv_server_connections{port=\"metrics\"} 1\n"), "{page}");
    })
    .await
    .unwrap();
    network.close();
    done.await.unwrap();
}
