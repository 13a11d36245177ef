//! TorchServe's API over HTTP: predictions, management and metrics, each on a port of its own or all on one.
//!
//! `router` knows the paths, `form` takes forms apart, `answer` makes responses with the headers that TorchServe sends, and the
//! work is done by `hippocamp-torchserve`.

mod answer;
mod form;
mod front;
mod inference;
mod management;
mod openapi;
mod query;
mod router;
mod streamed;

pub use front::{Parts, TorchServeHttpFront};

/// For tests/fuzz.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use bytes::Bytes;

    /// Takes a body apart: the number of its contents, and of their bytes. `None` if it is none of that type.
    pub fn contents(content_type: &str, body: Bytes) -> Option<(usize, usize)> {
        let contents = crate::form::contents(Some(content_type), body).ok()?;
        Some((contents.len(), contents.iter().map(|content| content.data.len()).sum()))
    }
}
