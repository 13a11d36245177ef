//! The ports of HTTP: the protocol's, and that of the metrics.

use std::sync::Arc;

use hippocamp_access::Access;
use hippocamp_core::InferenceServer;
use hippocamp_net::{Front, Http2, Listener, Network, Port, Refusal, RequestBody};
use hyper::{Request, Response, StatusCode};

use crate::front::{HttpFront, HttpSettings};
use crate::metrics::MetricsFront;
use crate::response::{self, ResponseBody};

/// What is asked for under this is always answered.
const HEALTH: &str = "/v2/health/";

/// Serves HTTP/1.1 and HTTP/2 until the network closes and the last connection is done. `mount` adds further protocols to the
/// port, if there are any: it makes a front of this one.
pub async fn serve<F: Front>(
    listener: impl Into<Listener>,
    network: Arc<Network>,
    server: Arc<InferenceServer>,
    settings: HttpSettings,
    mount: impl FnOnce(HttpFront) -> F,
) {
    let port = Port { name: "http", http1: true, http2: Http2::default(), counted: true };
    let front = HttpFront::on(&network, server, settings);
    hippocamp_net::serve(listener, network, port, mount(front)).await;
}

/// The same for the metrics port.
pub async fn serve_metrics<F: Front>(
    listener: impl Into<Listener>,
    network: Arc<Network>,
    server: Arc<InferenceServer>,
    access: Access,
    mount: impl FnOnce(MetricsFront) -> F,
) {
    let port = Port { name: "metrics", http1: true, http2: Http2::default(), counted: false };
    let counted = Arc::clone(&network);
    server.add_metrics(move |page| counted.write_metrics(page));
    hippocamp_net::serve(listener, network, port, mount(MetricsFront::new(server, access))).await;
}

impl Front for HttpFront {
    type Body = ResponseBody;

    async fn respond(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let exchange = Arc::clone(request.body().exchange());
        let mut response = HttpFront::respond(self, request).await;
        if exchange.was_too_slow() {
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        }
        response
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<ResponseBody>> {
        let path = request.uri().path();
        (!path.starts_with(HEALTH))
            .then(|| response::failed(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()))
    }
}

impl Front for MetricsFront {
    type Body = ResponseBody;

    async fn respond(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        self.answer(&request).await
    }

    fn refuse(&self, _: &Request<RequestBody>, _: Refusal) -> Option<Response<ResponseBody>> {
        None
    }
}
