//! The settings of the metrics.

use std::time::Duration;

/// The settings of the `--metrics-*` options.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct MetricsSettings {
    /// Whether there are counters of durations and of the response cache.
    pub counter_latencies: bool,
    /// Whether there is a histogram of the time to the first response of decoupled models.
    pub histogram_latencies: bool,
    /// Whether there are summaries of durations.
    pub summary_latencies: bool,
    /// The quantiles of summaries, from 0 to 1.
    pub summary_quantiles: Vec<f64>,
    pub histograms: Histograms,
    /// Whether the machine's processors and memory are on the page.
    pub cpu: bool,
    /// Whether what the driver tells of the GPUs is on the page.
    pub gpu: bool,
    /// The time over which the utilization of the processors is measured, at least, and for which figures of the GPUs are
    /// told again before they are read anew.
    pub interval: Duration,
}

/// Which histograms are on the page. They are about nine tenths of a model's part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// Only histograms with at least one observation.
    #[default]
    Used,
    All,
    Off,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        MetricsSettings {
            counter_latencies: true,
            histogram_latencies: false,
            summary_latencies: false,
            summary_quantiles: vec![0.5, 0.9, 0.95, 0.99, 0.999],
            histograms: Histograms::Used,
            cpu: true,
            gpu: true,
            interval: Duration::from_secs(2),
        }
    }
}
