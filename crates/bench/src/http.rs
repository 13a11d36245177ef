//! Requests over HTTP/1.1. A request is prepared bytes, and of an answer only the head is looked at, so that a request costs
//! two system calls and little else: three where a thread has several connections to wait for.

mod link;
mod response;

use std::io;
use std::net::SocketAddr;

use crate::exchange::{Call, Exchange, Fault, Reply};
use link::Link;
use response::{Head, error_text};

/// The size of the buffer that answers are read into. Large ones are read through it piece by piece.
const BUFFER: usize = 128 << 10;

/// How much of an error's body is kept.
const MAX_ERROR: usize = 16 << 10;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct HttpExchange {
    address: SocketAddr,
    is_alone: bool,
    link: Option<Link>,
    buffer: Vec<u8>,
}

impl HttpExchange {
    /// `is_alone` says that it is the only one of its thread.
    pub(crate) async fn connect(address: SocketAddr, is_alone: bool) -> io::Result<HttpExchange> {
        let link = Some(Link::open(address, is_alone).await?);
        Ok(HttpExchange { address, is_alone, link, buffer: vec![0; BUFFER] })
    }
}

impl Exchange for HttpExchange {
    async fn exchange(&mut self, call: &Call) -> Result<Reply, Fault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(self.address, self.is_alone)
                .await
                .map_err(|why| Fault::Unreachable(why.to_string()))?,
        };
        let answered = round_trip(&mut link, &mut self.buffer, &call.message).await;
        let (head, error) = answered.map_err(|why| Fault::Broken(why.to_string()))?;
        if head.keep_alive {
            self.link = Some(link);
        }
        match error {
            None => Ok(Reply::SINGLE),
            Some(body) => Err(Fault::Refused(error_text(head.status, &body))),
        }
    }
}

/// Sends a request and reads the whole answer; returns its head, and its body if it is an error.
async fn round_trip(
    link: &mut Link,
    buffer: &mut [u8],
    message: &[u8],
) -> io::Result<(Head, Option<Vec<u8>>)> {
    link.write(message).await?;
    let mut filled = 0;
    let head = loop {
        let count = link.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Err(io::Error::other(if filled == buffer.len() {
                "the head of the answer is too long"
            } else {
                "the server closed the connection without an answer"
            }));
        }
        filled += count;
        if let Some(head) = Head::parse(&buffer[..filled])? {
            break head;
        }
    };
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let whole = head.size.checked_add(head.content_length);
    let whole = whole.ok_or_else(|| invalid("the head of the answer gives an impossible length"))?;
    let left = whole.checked_sub(filled);
    let mut left = left.ok_or_else(|| invalid("the answer is longer than its head says"))?;
    let mut error = (head.status != 200).then(|| buffer[head.size..filled].to_vec());
    while left > 0 {
        let part = left.min(buffer.len());
        let count = link.read(&mut buffer[..part]).await?;
        if count == 0 {
            return Err(io::Error::other("the server closed the connection in the middle of an answer"));
        }
        if let Some(error) = error.as_mut().filter(|error| error.len() < MAX_ERROR) {
            error.extend_from_slice(&buffer[..count]);
        }
        left -= count;
    }
    Ok((head, error))
}
