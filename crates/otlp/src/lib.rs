//! Sends finished traces to a collector of OpenTelemetry: OTLP in protobuf, over HTTP or gRPC.
//!
//! [`ExportSettings`] come from flags and from the variables that OpenTelemetry defines; [`Exporter`] is the sink of traces. It
//! has a thread of its own, and a queue that is bounded: no request waits for a collector.

#![warn(missing_docs)]

mod exporter;
mod settings;
mod spans;
mod transport;
mod variables;

/// The messages of OTLP.
#[allow(missing_docs, clippy::doc_markdown, clippy::pedantic, unreachable_pub, reason = "generated")]
mod messages {
    include!(concat!(env!("OUT_DIR"), "/otlp.rs"));
}

pub use exporter::Exporter;
pub use settings::{ExportSettings, Transport};
