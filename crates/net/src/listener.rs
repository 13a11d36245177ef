//! What a port listens on: a TCP port or a unix socket, with TLS or without.

use std::io;
use std::sync::Arc;

use hippocamp_tls::Tls;
use tokio::net::{TcpListener, UnixListener};

use crate::stream::Plain;

/// A listening socket, and the TLS of its connections.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    pub(crate) tls: Option<Arc<Tls>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// The same with TLS, or without it if there is none.
    #[must_use]
    pub fn with_tls(self, tls: Option<Arc<Tls>>) -> Listener {
        Listener { tls, ..self }
    }

    /// The address that it listens on, as it is logged.
    pub fn address(&self) -> io::Result<String> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => listener.local_addr()?.to_string(),
            Socket::Unix(listener) => match listener.local_addr()?.as_pathname() {
                Some(path) => format!("unix:{}", path.display()),
                None => "unix:".to_owned(),
            },
        })
    }

    pub(crate) async fn accept(&self) -> io::Result<Plain> {
        match &self.socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| Plain::Tcp(stream)),
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| Plain::Unix(stream)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        Listener { socket: Socket::Tcp(listener), tls: None }
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener { socket: Socket::Unix(listener), tls: None }
    }
}
