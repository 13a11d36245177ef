//! The counters of model versions, for the statistics extension and the `nv_inference_*` metrics.
//!
//! [`ModelStatistics`] is an observer of a model version. Its only input is the events of the version's requests.

mod counters;
mod latencies;
mod model_statistics;
mod shards;
mod wall_clock;

pub use counters::{Counted, Counters, Phases, RequestCounters, ResponseCounters};
pub use latencies::{Latency, LatencySummary, WantedLatencies};
pub use model_statistics::ModelStatistics;
