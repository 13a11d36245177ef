//! The reflection service of gRPC, by which clients such as grpcurl learn of calls and messages without a `.proto` file. Served in
//! both versions that clients ask for: `v1`, and `v1alpha` of older ones.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hippocamp_grpc_content::{Answers, Assembled};
use hippocamp_net::RequestBody;
use hippocamp_proto::FILE_DESCRIPTOR_SET;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_reflection::server::Builder;

/// What the paths of both versions begin with.
pub(crate) const PREFIX: &str = "/grpc.reflection.";

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The services of this port itself.
const SERVICES: [&str; 4] = [
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Answering = Box<dyn Fn(Request<RequestBody>) -> Answer + Send + Sync>;

/// Tells which services there are, and how their messages are written.
pub(crate) struct Reflection {
    v1: Answering,
    v1_alpha: Answering,
}

impl fmt::Debug for Reflection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflection").finish_non_exhaustive()
    }
}

impl Reflection {
    /// The reflection of the services of this port, and of `more`, which are mounted on it. `None` if the descriptors cannot be
    /// read, which a test rules out.
    pub(crate) fn new(more: &[&str]) -> Option<Reflection> {
        let builder = || {
            let sets = [FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];
            let builder = Builder::configure().include_reflection_service(false);
            let builder = sets.into_iter().fold(builder, Builder::register_encoded_file_descriptor_set);
            SERVICES.iter().chain(more).copied().fold(builder, Builder::with_service_name)
        };
        let (v1, v1_alpha) = (builder().build_v1().ok()?, builder().build_v1alpha().ok()?);
        Some(Reflection { v1: answering(v1, &[V1]), v1_alpha: answering(v1_alpha, &[V1_ALPHA]) })
    }

    /// Answers a call whose path begins with [`PREFIX`]; `None` if there is no such call.
    pub(crate) fn respond(&self, request: Request<RequestBody>) -> Option<Answer> {
        match request.uri().path() {
            V1 => Some((self.v1)(request)),
            V1_ALPHA => Some((self.v1_alpha)(request)),
            _ => None,
        }
    }
}

/// The library does not name the types of its services.
fn answering<S>(service: S, streams: &'static [&'static str]) -> Answering
where
    S: Answers<RequestBody> + Send + Sync + 'static,
{
    let service = Arc::new(Assembled { service, streams });
    Box::new(move |request| {
        let service = Arc::clone(&service);
        Box::pin(async move { service.respond(request).await })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptors_can_be_read() {
        assert!(Reflection::new(&["nvidia.inferenceserver.GRPCService"]).is_some());
    }
}
