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
