//! V1, the protocol of TensorRT Inference Server 19.12 to 20.03, over HTTP: `/api/...`.
//!
//! A request of inference has its header in the header `NV-InferRequest`, in protobuf's text format, and its tensors in the
//! body. Every response says in `NV-Status` how its request ended; the statuses of HTTP are 200, 400 and 405 only. `text` reads
//! and writes the text format, `router` knows the paths, and the work is done by `hippocamp-v1`.

mod front;
mod infer;
mod response;
mod router;
mod text;

pub use front::V1HttpFront;

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use hippocamp_proto::v1::{InferRequestHeader, InferResponseHeader};

    /// Reads the header of a request; `None` if its text is broken.
    pub fn parse(text: &[u8]) -> Option<InferRequestHeader> {
        crate::text::parse_request(text).ok()
    }

    /// Writes the header of a response.
    pub fn write(header: &InferResponseHeader) -> String {
        crate::text::response_line(header)
    }

    /// Writes any message of V1.
    pub fn write_any(name: &str, message: &impl prost::Message) -> String {
        crate::text::debug_text(name, message)
    }
}
