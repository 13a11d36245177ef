//! Connections: taken, served, and let go of when the server stops.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::InferenceServer;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use crate::front::{HttpFront, HttpSettings};
use crate::metrics;
use crate::response::ResponseBody;

/// How long to wait when the machine has no more sockets for us.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` completes, then takes no more connections, lets running requests finish and returns.
pub async fn serve(
    listener: TcpListener,
    server: Arc<InferenceServer>,
    settings: HttpSettings,
    stop: impl Future<Output = ()>,
) {
    let front = Arc::new(HttpFront::new(server, settings));
    let respond = move |request| {
        let front = Arc::clone(&front);
        async move { Ok(front.respond(request).await) }
    };
    accept(listener, stop, respond).await;
}

/// The same for the metrics port.
pub async fn serve_metrics(
    listener: TcpListener,
    server: Arc<InferenceServer>,
    stop: impl Future<Output = ()>,
) {
    let respond = move |request: Request<Incoming>| {
        let response = metrics::respond(&server, &request);
        async move { Ok(response) }
    };
    accept(listener, stop, respond).await;
}

async fn accept<F, R>(listener: TcpListener, stop: impl Future<Output = ()>, respond: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + 'static,
{
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            () = &mut stop => break,
        };
        // Without it small replies wait for the peer's acknowledgement of the one before.
        if let Err(e) = stream.set_nodelay(true) {
            debug!("connection lost before it was served: {e}");
            continue;
        }
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond.clone()));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                debug!("connection ended: {e}");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection. One that failed before it was taken is the peer's affair; a lack of sockets or memory passes.
async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(e) if is_of_the_peer(&e) => debug!("connection failed before it was taken: {e}"),
            Err(e) => {
                warn!("no connection can be taken: {e}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}
