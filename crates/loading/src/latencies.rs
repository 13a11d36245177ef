//! Settings of the latency metrics: which histograms and summaries a model has besides its counters.

use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_metrics::{MetricControl, metric_control::MetricOptions};
use hippocamp_statistics::WantedLatencies;
use tracing::warn;

/// What the server's settings ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencySettings {
    /// Whether there is a histogram of the time to the first response of decoupled models.
    pub histograms: bool,
    /// Whether there are summaries of durations.
    pub summaries: bool,
}

/// The one family whose buckets a config can set.
const FIRST_RESPONSE: &str = "nv_inference_first_response_histogram_ms";

/// Its buckets where the config sets none, in milliseconds.
const FIRST_RESPONSE_MS: [f64; 4] = [100.0, 500.0, 2000.0, 5000.0];

impl LatencySettings {
    /// What is kept of a model of that config besides its counters.
    pub fn wanted(self, config: &ModelConfig, decoupled: bool) -> WantedLatencies {
        let is_kept = self.histograms && decoupled;
        WantedLatencies {
            summaries: self.summaries,
            first_response_ms: is_kept.then(|| first_response_ms(config)),
        }
    }
}

fn controls(config: &ModelConfig) -> impl Iterator<Item = (&str, &MetricControl)> {
    let controls = config.model_metrics.iter().flat_map(|metrics| &metrics.metric_control);
    controls.filter_map(|control| Some((control.metric_identifier.as_ref()?.family.as_str(), control)))
}

fn first_response_ms(config: &ModelConfig) -> Vec<f64> {
    let set = controls(config).filter(|(family, _)| *family == FIRST_RESPONSE);
    let buckets = set.filter_map(|(_, control)| {
        let MetricOptions::HistogramOptions(histogram) = control.metric_options.as_ref()?;
        Some(histogram.buckets.clone())
    });
    buckets.last().unwrap_or_else(|| FIRST_RESPONSE_MS.to_vec())
}

/// Tells of families in a config that cannot be set. The text is Triton's.
pub fn warn_of_families(model: &str, config: &ModelConfig) {
    for (family, _) in controls(config).filter(|(family, _)| *family != FIRST_RESPONSE) {
        warn!(
            model,
            "Metric family '{family}' in 'metric_identifier' is not a customizable metric in Triton core."
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ModelConfig {
        hippocamp_model_config::parse(text, "config.pbtxt").unwrap().config
    }

    #[test]
    fn the_buckets_of_the_first_response() {
        let settings = LatencySettings { histograms: true, summaries: false };
        let buckets = |text: &str| settings.wanted(&config(text), true).first_response_ms.unwrap();
        assert_eq!(buckets(""), FIRST_RESPONSE_MS);
        let control = |family: &str| {
            format!(
                "metric_control {{ metric_identifier {{ family: \"{family}\" }} histogram_options {{ buckets: [ 1, 2.5 ] }} }}"
            )
        };
        assert_eq!(buckets(&format!("model_metrics {{ {} }}", control(FIRST_RESPONSE))), [1.0, 2.5]);
        assert_eq!(buckets(&format!("model_metrics {{ {} }}", control("nv_other"))), FIRST_RESPONSE_MS);
        assert_eq!(settings.wanted(&config(""), false), WantedLatencies::default());
        assert_eq!(LatencySettings::default().wanted(&config(""), true), WantedLatencies::default());
    }
}
