//! The inference server without its protocols: puts together serving, loading, lifecycle, the index, statistics and metrics.
//!
//! It can be used as a library: make an [`InferenceServer`] from [`Settings`] and backends, load its repositories, find a
//! [`LoadedModel`] and call [`LoadedModel::infer`]. It depends on no concrete backend and no protocol.

mod check;
mod client_settings;
mod control;
mod find;
#[cfg(feature = "follow")]
mod following;
mod in_process;
mod index;
#[cfg_attr(feature = "lazy-loading", path = "with_lazy_loading.rs")]
#[cfg_attr(not(feature = "lazy-loading"), path = "without_lazy_loading.rs")]
mod lazy;
mod log_control;
mod look;
mod lost;
mod metadata;
mod metrics_page;
mod metrics_settings;
mod observed;
mod server;
mod settings;
mod start;
mod statistics;

pub use check::{check_model, describe, dry_run};
pub use client_settings::trace_change;
pub use hippocamp_access_log::AccessRecord;
#[cfg(feature = "follow")]
pub use hippocamp_following::WatchSettings;
pub use hippocamp_lifecycle::{LoadOverrides, StartFault, State, VersionState};
pub use hippocamp_loading::faults::faults_of;
pub use hippocamp_loading::hint::{hint, meant};
pub use hippocamp_loading::{Finding, HostPolicy, ModelCheck, Severity};
pub use hippocamp_scheduler::ResourceCount;
pub use hippocamp_serving::{
    Accepted, Class, Delivered, HeaderForwarding, IncomingRequest, InferInput, InferRequest, LoadedModel,
    ModelRef, Origin, OutputPlan, Responses, Running, Then, best_classes, can_be_classified,
    check_parameter_count, check_tensor_count, class_count,
};
pub use hippocamp_trace::{
    Activity, Change as TraceChange, Protocol as TraceProtocol, SettingValues, Tracing,
};
pub use index::IndexEntry;
pub use log_control::{LogChange, LogControl, LogSettings};
pub use look::WrittenConfig;
pub use metadata::{ModelMetadata, TensorMetadata};
pub use metrics_settings::{Histograms, MetricsSettings};
pub use observed::{Observed, Sending};
pub use server::{InferenceServer, ServerMetadata};
pub use settings::{ControlMode, Readiness, Settings};
pub use statistics::VersionStatistics;
