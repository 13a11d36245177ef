//! The limit of a call's metadata: beyond it the client gets a gRPC status, where the HTTP library would answer by status 431, which
//! clients of gRPC report as an unknown error.

use hippocamp_net::{Front, Refusal, RequestBody};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

/// The most bytes of a call's headers, as `gRPC`'s C core has it, on which Triton is built.
const MOST: usize = 16 << 10;

/// Up to this size the library hands a call over, so that it is answered here. It holds the headers of all calls of a connection until then.
pub(crate) const ASKED: u32 = 64 << 10;

/// What HTTP/2 counts of a header beside its name and value.
const OVERHEAD: usize = 32;

/// All services of the port, for calls whose metadata are not too large.
#[derive(Debug)]
pub(crate) struct MetadataLimit<F>(pub(crate) F);

impl<F: Front<Body = Body>> Front for MetadataLimit<F> {
    type Body = Body;

    async fn respond(&self, request: Request<RequestBody>) -> Response<Body> {
        let size = header_list_size(&request);
        if size > MOST {
            let text = format!("received metadata size exceeds hard limit ({size} vs. {MOST})");
            return Status::resource_exhausted(text).into_http();
        }
        self.0.respond(request).await
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<Body>> {
        self.0.refuse(request, why)
    }
}

/// The size of a request's headers as HTTP/2 counts it, with those that came as method, path, scheme and authority.
fn header_list_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| ":path".len() + path.as_str().len() + OVERHEAD);
    let authority = uri.authority().map_or(0, |name| ":authority".len() + name.as_str().len() + OVERHEAD);
    let scheme = uri.scheme_str().map_or(0, |scheme| ":scheme".len() + scheme.len() + OVERHEAD);
    let method = ":method".len() + request.method().as_str().len() + OVERHEAD;
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    path + authority + scheme + method + headers.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_that_http_2_counts() {
        let request = Request::post("http://127.0.0.1:8001/inference.GRPCInferenceService/ServerLive");
        let request = request.header("te", "trailers").header("x-a", "v".repeat(100)).body(()).unwrap();
        // As the C core writes them: :path:79B :authority, :method:43B :scheme:43B te:42B.
        assert_eq!(header_list_size(&request), 79 + (10 + 14 + 32) + 43 + 43 + 42 + (3 + 100 + 32));
    }
}
