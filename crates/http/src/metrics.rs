//! The page for Prometheus, on a port of its own.

use hippocamp_core::InferenceServer;
use hippocamp_net::Network;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};

use crate::front::method_not_allowed;
use crate::response::{self, ResponseBody};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers one request to the metrics port. Any other path is a bad request there, with nothing to read, as in Triton.
pub(crate) fn respond<B>(
    server: &InferenceServer,
    network: &Network,
    request: &Request<B>,
) -> Response<ResponseBody> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return method_not_allowed(&[Method::GET]);
    }
    if request.uri().path() != "/metrics" {
        return response::empty(StatusCode::BAD_REQUEST);
    }
    let mut page = server.metrics_page();
    page.push_str(&network.metrics_page());
    response::ok(TEXT, page.into_bytes())
}
