//! Two protocols on one port.

use hyper::{Request, Response};

use crate::body::RequestBody;
use crate::front::{Front, Refusal};

/// A protocol that is mounted on the port of another one: requests whose path begins with the prefix are its own, all others
/// go to the protocol that was there. Neither knows of the other.
#[derive(Debug)]
pub struct Mount<M, F> {
    /// What the paths of the mounted protocol begin with.
    pub prefix: &'static str,
    /// The mounted protocol.
    pub mounted: M,
    /// The protocol that all other requests go to.
    pub others: F,
}

impl<M, F> Mount<M, F> {
    fn is_mounted(&self, request: &Request<RequestBody>) -> bool {
        request.uri().path().starts_with(self.prefix)
    }
}

impl<M: Front, F: Front<Body = M::Body>> Front for Mount<M, F> {
    type Body = M::Body;

    async fn respond(&self, request: Request<RequestBody>) -> Response<M::Body> {
        if self.is_mounted(&request) {
            // The future is boxed, or that of the other protocol would be larger by its size.
            return Box::pin(self.mounted.respond(request)).await;
        }
        self.others.respond(request).await
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<M::Body>> {
        if self.is_mounted(request) {
            return self.mounted.refuse(request, why);
        }
        self.others.refuse(request, why)
    }
}
