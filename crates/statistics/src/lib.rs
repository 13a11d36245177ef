//! What a model version has done so far: the numbers behind the statistics extension and the `nv_inference_*` metrics.
//!
//! [`ModelStatistics`] is an observer of a model version. It counts from the events of its requests and knows nothing else.

mod counters;
mod latencies;
mod model_statistics;

pub use counters::{Counted, Counters, Phases, ResponseCounters};
pub use latencies::{Latency, LatencySummary, WantedLatencies};
pub use model_statistics::ModelStatistics;
