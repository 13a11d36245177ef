//! The first bytes of a connection, which say whether it speaks HTTP/2.

use std::io;

use tokio::io::ReadBuf;

use crate::connection::Connection;
use crate::stream::Stream;

/// The first bytes of every HTTP/2 connection.
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes that were read to detect the protocol. They are read again by the protocol.
#[derive(Debug, Default)]
pub(crate) struct Preface {
    bytes: [u8; HTTP2.len()],
    read: usize,
    given: usize,
}

impl Preface {
    /// Reads until the protocol is known. Returns true for HTTP/2.
    pub(crate) async fn look(stream: &mut Stream, connection: &Connection) -> io::Result<(Preface, bool)> {
        let mut preface = Preface::default();
        loop {
            match stream.read(&mut preface.bytes[preface.read..]).await? {
                // The connection ended early; the HTTP/1.1 reader reports that.
                0 => return Ok((preface, false)),
                count => preface.read += count,
            }
            connection.reads_head();
            if !HTTP2.starts_with(&preface.bytes[..preface.read]) {
                return Ok((preface, false));
            }
            if preface.read == HTTP2.len() {
                connection.head_is_read();
                return Ok((preface, true));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.given == self.read
    }

    pub(crate) fn read(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = buffer.remaining().min(self.read - self.given);
        buffer.put_slice(&self.bytes[self.given..self.given + count]);
        self.given += count;
    }
}
