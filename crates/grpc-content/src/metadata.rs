//! The metadata of a call.

use tonic::codegen::http::HeaderMap;

/// What the client of a call has sent along with it: the headers of the call, without those of the transport.
pub fn metadata(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    let is_own = |name: &str| matches!(name, "content-type" | "te") || name.starts_with("grpc-");
    let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    all.filter(move |(name, _)| !is_own(name))
}
