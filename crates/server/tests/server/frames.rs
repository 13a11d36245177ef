//! A minimal HTTP/2 client for frames that no library would send.

use std::net::SocketAddr;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// HPACK indices of `:method: GET`, `:method: POST` and `:status: 200`.
const GET: u8 = 0x82;
const POST: u8 = 0x83;
pub(crate) const STATUS_200: u8 = 0x88;

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// An HTTP/2 connection with prior knowledge.
pub(crate) struct Link {
    pub(crate) socket: TcpStream,
}

impl Link {
    pub(crate) async fn open(address: SocketAddr) -> Link {
        let mut link = Link { socket: TcpStream::connect(address).await.unwrap() };
        link.socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        link.send(SETTINGS, 0, 0, &[]).await;
        link
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.socket.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &head(GET, path)).await;
    }

    /// Sends the HEADERS frame of a gRPC call.
    pub(crate) async fn call(&mut self, stream: u32, path: &str) {
        let mut block = head(POST, path);
        block.extend(literal(b"content-type", b"application/grpc"));
        block.extend(literal(b"te", b"trailers"));
        self.send(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// The next frame; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.socket.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// All frames up to the one that ends the stream or the connection.
    pub(crate) async fn answer(&mut self, stream: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            if frame.stream != stream {
                continue;
            }
            let is_last = frame.kind == RST_STREAM || frame.flags & END_STREAM != 0;
            frames.push(frame);
            if is_last {
                break;
            }
        }
        frames
    }
}

/// An encoded message, preceded by gRPC's header.
pub(crate) fn message(message: &impl Message) -> Vec<u8> {
    let content = message.encode_to_vec();
    [&[0], &(content.len() as u32).to_be_bytes()[..], &content].concat()
}

/// Decodes the message in the DATA frames of a response.
pub(crate) fn reply<M: Message + Default>(frames: &[Frame]) -> M {
    let data = frames.iter().filter(|frame| frame.kind == DATA).flat_map(|frame| frame.payload.clone());
    M::decode(&data.collect::<Vec<_>>()[5..]).unwrap()
}

fn head(method: u8, path: &str) -> Vec<u8> {
    const HTTP: u8 = 0x86;
    const PATH: u8 = 0x04;
    const AUTHORITY: u8 = 0x01;
    let mut block = vec![method, HTTP, PATH, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend([AUTHORITY, 1, b'x']);
    block
}

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0, name.len() as u8], name, &[value.len() as u8], value].concat()
}
