//! KServe v2 with Triton's extensions over HTTP/1.1: decode a request, call the server, encode its answer.
//!
//! Routing is our own, because clients rely on which paths and methods are known. Tensors are never copied here: a
//! request's body stays in the pieces that it came in, and a response's tensors leave as pieces of their own. Nothing in
//! this crate knows a scheduler or a backend.

mod binary;
mod encode;
mod front;
mod generate;
mod guard;
mod health;
mod infer;
#[doc(hidden)]
pub mod json;
mod logging;
mod metadata;
mod metrics;
mod openapi;
mod raw;
mod repository;
mod response;
mod router;
mod serve;
mod shared_memory;
mod statistics;
#[cfg(test)]
mod tests;
mod trace_setting;

pub use front::{HttpFront, HttpSettings};
pub use hippocamp_http_content::ResponseCompression;
pub use metrics::MetricsFront;
pub use response::ResponseBody;
pub use serve::{serve, serve_metrics};
#[doc(hidden)]
pub use trace_setting::parse as parse_trace_setting;
