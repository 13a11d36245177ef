//! Traces of requests: which requests are traced, and what is noted of them.
//!
//! A protocol calls [`Tracing::sample`] once for a request. If the request is sampled it gets a [`Trace`], which notes what the
//! protocol does, and whose [`observer`](Trace::observer) travels with the request and notes what the models do. When the last
//! holder of the trace is done, the [`FinishedTrace`] goes to the [`TraceSink`]: Triton's trace file ([`TraceFile`]), or an
//! exporter of another crate.

#![warn(missing_docs)]

mod activity;
mod change;
mod file;
mod finished;
mod flags;
mod level;
mod node;
mod record;
mod setting;
mod settings;
mod sink;
mod trace;
mod tracing;
mod unfinished;

pub use activity::Activity;
pub use change::{Change, ChangeFault, Field, Protocol, parse_change};
pub use file::TraceFile;
pub use finished::FinishedTrace;
pub use flags::{Flags, StartSettings};
pub use level::Level;
pub use record::{Record, Tensor, What};
pub use setting::Setting;
pub use settings::{Resolved, SettingFault, Settings};
pub use sink::{NoSink, TraceSink};
pub use trace::{Trace, random as random_id};
pub use tracing::{Mode, ParentRule, SettingValues, Tracing};
