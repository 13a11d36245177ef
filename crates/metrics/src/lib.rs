//! Metrics in the Prometheus text format: histograms, quantiles, and the page.
//!
//! Counters live where they are counted and are written to a [`Page`] for each scrape; nothing is looked up by label
//! while requests run.

mod bounded;
mod custom;
mod histogram;
mod page;
mod quantiles;
mod sizes;

pub use bounded::BoundedHistogram;
pub use custom::{CustomMetrics, Metric, MetricFamily, MetricFault, MetricFaultKind};
pub use histogram::{DURATION_BOUNDS_US, Histogram};
pub use page::{Family, Kind, LabelSet, Page, Series};
pub use quantiles::Quantiles;
pub use sizes::SizeHistogram;
