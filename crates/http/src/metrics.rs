//! The page for Prometheus, on a port of its own.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_access::Access;
use hippocamp_backend::Error;
use hippocamp_core::InferenceServer;
use hippocamp_http_content::{AcceptedCoding, Coding, ResponseCompression, off_thread};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{Method, Request, Response};
use tokio::sync::Semaphore;

use crate::front::method_not_allowed;
use crate::guard;
use crate::response::{self, ResponseBody};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Makes the page when it is asked for.
#[derive(Clone, Debug)]
pub struct MetricsFront {
    server: Arc<InferenceServer>,
    /// Who may read the page.
    access: Access,
    /// One page at a time is made: whoever asks often shall take one core at most.
    turn: Arc<Semaphore>,
}

impl MetricsFront {
    pub(crate) fn new(server: Arc<InferenceServer>, access: Access) -> MetricsFront {
        MetricsFront { server, access, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Answers one request to the metrics port. Any other path has nothing to read, as in Triton.
    pub(crate) fn answer<B>(
        &self,
        request: &Request<B>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<B> {
        let front = self.clone();
        let (is_get, is_page) =
            (matches!(*request.method(), Method::GET | Method::HEAD), request.uri().path() == "/metrics");
        let coding = AcceptedCoding::of(request.headers(), ResponseCompression::Auto).of_response(false);
        let headers = request.headers();
        let allowed = self.access.check_metrics(|name| headers.get(name).map(HeaderValue::as_bytes));
        async move {
            if let Err(denial) = allowed {
                return guard::denied(&denial);
            }
            match (is_get, is_page) {
                (false, _) => method_not_allowed(&[Method::GET]),
                (true, false) => response::ok(TEXT, Vec::new()),
                (true, true) => front.page(coding).await.unwrap_or_else(|error| response::error(&error)),
            }
        }
    }

    /// On a thread that no request needs.
    async fn page(self, coding: Coding) -> Result<Response<ResponseBody>, Error> {
        let failed = |error| Error::internal("the metrics could not be written").with_source(error);
        let Ok(turn) = self.turn.acquire_owned().await else {
            return Err(Error::internal("the metrics port is closed"));
        };
        let server = self.server;
        let body = off_thread(true, move || {
            let _turn = turn;
            let parts: Vec<Bytes> = server.metrics().into_parts().into_iter().map(Bytes::from).collect();
            Ok(match coding {
                Coding::Identity => ResponseBody::from_iter(parts),
                coding => ResponseBody::from_iter([coding.compress(&parts).map_err(failed)?.into()]),
            })
        });
        let mut response = Response::new(body.await?);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, TEXT);
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if coding != Coding::Identity {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        Ok(response)
    }
}
