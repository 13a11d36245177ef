//! The socket of an HTTP connection: awaited together with the others of its thread, or blocking where there are no others.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;

/// How long a blocking call waits before the thread looks whether the measurement is over.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) enum Link {
    Shared(TcpStream),
    /// The only one of its thread, which sleeps in the calls themselves. That spares a request the system call that waits for
    /// several, and what the runtime does around it.
    Alone(std::net::TcpStream),
}

impl Link {
    /// `is_alone` says that the thread has nothing else to do while it waits for this connection.
    pub(crate) async fn open(address: SocketAddr, is_alone: bool) -> io::Result<Link> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !is_alone {
            return Ok(Link::Shared(stream));
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Link::Alone(stream))
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, mut message: &[u8]) -> io::Result<()> {
        let stream = match self {
            Link::Shared(stream) => return stream.write_all(message).await,
            Link::Alone(stream) => stream,
        };
        while !message.is_empty() {
            match patient(|| stream.write(message)).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => message = &message[count..],
            }
        }
        Ok(())
    }

    /// Reads what has come, at least a byte; 0 at the end.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Shared(stream) => stream.read(buffer).await,
            Link::Alone(stream) => patient(|| stream.read(buffer)).await,
        }
    }
}

/// The result of a blocking call. Each time that it took too long, other tasks of the thread have a turn, which may drop this one.
async fn patient(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => yield_now().await,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
