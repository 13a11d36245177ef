//! A minimal HTTP/1.1 client: one request a connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response.
#[derive(Clone, Debug)]
pub struct HttpReply {
    pub status: u16,
    /// Status line and headers as received.
    pub head: String,
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request and reads to the end of the connection.
pub async fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> HttpReply {
    let mut stream = TcpStream::connect(to).await.expect("the server accepts connections");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
    stream.write_all(head.as_bytes()).await.expect("the server reads the head");
    stream.write_all(body).await.expect("the server reads the body");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("the server answers");
    let split = reply.windows(4).position(|w| w == b"\r\n\r\n").expect("a head ends with an empty line");
    let head = String::from_utf8_lossy(&reply[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line has a status");
    HttpReply { status, head, body: reply[split + 4..].to_vec() }
}
