//! An HTTP/2 connection that is shared by several calls, and opened again when it was lost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use hippocamp_client::Headers;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{Method, Request, Uri, Version};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::message::Encoder;

/// How much may be received before the server has to wait, in bytes: nothing waits here, so as much as the protocol allows.
const WINDOW: u32 = (1 << 31) - 1;

/// The largest frame that the server may send.
const FRAME: u32 = 256 << 10;

const USER_AGENT: HeaderName = http::header::USER_AGENT;

/// A connection of a thread.
#[derive(Debug)]
pub(crate) struct GrpcConnection {
    address: SocketAddr,
    authority: String,
    headers: Headers,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Bytes>,
    ended: Arc<AtomicBool>,
}

impl GrpcConnection {
    /// Opens a connection for calls that name the server and the caller as the encoder says.
    pub(crate) async fn connect(address: SocketAddr, encoder: &Encoder) -> io::Result<Arc<GrpcConnection>> {
        let open = Mutex::new(Some(open(address).await?));
        let (authority, headers) = (encoder.authority.clone(), encoder.headers.clone());
        Ok(Arc::new(GrpcConnection { address, authority, headers, open }))
    }

    /// A sender of this connection, which is opened again if it has ended.
    pub(crate) async fn sender(&self) -> io::Result<SendRequest<Bytes>> {
        let mut current = self.open.lock().await;
        match &*current {
            Some(open) if !open.ended.load(Ordering::Acquire) => Ok(open.sender.clone()),
            _ => {
                *current = None;
                Ok(current.insert(open(self.address).await?).sender.clone())
            }
        }
    }

    /// The head of a call.
    pub(crate) fn request(&self, path: &str) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        let uri = Uri::builder().scheme("http").authority(self.authority.as_str()).path_and_query(path);
        *request.uri_mut() = uri.build().unwrap_or_else(|_| Uri::from_static("http://localhost/"));
        let mut headers = self.headers.map().clone();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(USER_AGENT, HeaderValue::from_static("hippocamp-bench"));
        *request.headers_mut() = headers;
        request
    }
}

async fn open(address: SocketAddr) -> io::Result<Open> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_frame_size(FRAME);
    builder.enable_push(false);
    let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    tokio::spawn(async move {
        // Every call on the connection is told of its error.
        drop(connection.await);
        ends.store(true, Ordering::Release);
    });
    Ok(Open { sender, ended })
}
