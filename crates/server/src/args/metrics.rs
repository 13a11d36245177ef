//! Flags of the metrics port.

use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use hippocamp_core::{Histograms, MetricsSettings};
use tracing::warn;

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Whether to serve metrics for Prometheus, under /metrics.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_metrics: bool,

    /// Whether the machine's processors and memory are among them.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_cpu_metrics: bool,

    /// Whether the use, memory and power of GPUs are among them, where NVIDIA's driver tells them.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_gpu_metrics: bool,

    /// Over how many milliseconds the use of the processors is measured, at least, and how long figures of GPUs are told again
    /// before they are read anew. All else is read when it is asked for.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    pub(crate) metrics_interval_ms: u32,

    /// The address to listen on; by default that of HTTP.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_address: Option<String>,

    /// The port to listen on; 0 takes a free one and logs it.
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    pub(crate) metrics_port: u16,

    /// Which durations there are: `counter_latencies=false`, `histogram_latencies=true`, `summary_latencies=true`,
    /// `summary_quantiles=QUANTILE:ERROR,...`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metrics_config: Vec<MetricsConfig>,

    /// Whose histograms are on the page: of models once they were used, of all, or none.
    #[arg(long, value_name = "MODELS", value_enum, default_value_t = HistogramsOf::Used)]
    pub(crate) metrics_histograms: HistogramsOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistogramsOf {
    Used,
    All,
    Off,
}

/// One `--metrics-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricsConfig {
    setting: String,
    value: String,
}

impl FromStr for MetricsConfig {
    type Err = String;

    /// A comma before the equals sign separates a name, as in other flags of this form.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .filter(|(setting, value)| !setting.is_empty() && !value.is_empty() && !setting.contains(','));
        let Some((setting, value)) = parts else {
            return Err(format!("--metrics-config option format is <setting>=<value>. Got {text}"));
        };
        Ok(MetricsConfig { setting: setting.to_owned(), value: value.to_owned() })
    }
}

impl MetricsArgs {
    pub(crate) fn settings(&self) -> MetricsSettings {
        let mut settings = MetricsSettings {
            histograms: match self.metrics_histograms {
                HistogramsOf::Used => Histograms::Used,
                HistogramsOf::All => Histograms::All,
                HistogramsOf::Off => Histograms::Off,
            },
            cpu: self.allow_cpu_metrics,
            gpu: self.allow_gpu_metrics,
            interval: Duration::from_millis(self.metrics_interval_ms.into()),
            ..MetricsSettings::default()
        };
        for config in &self.metrics_config {
            config.apply(&mut settings);
        }
        settings
    }
}

impl MetricsConfig {
    /// Settings without effect are logged; they are no reason to refuse the start.
    fn apply(&self, settings: &mut MetricsSettings) {
        let MetricsConfig { setting, value } = self;
        let switched = match setting.as_str() {
            "counter_latencies" => &mut settings.counter_latencies,
            "histogram_latencies" => &mut settings.histogram_latencies,
            "summary_latencies" => &mut settings.summary_latencies,
            "summary_quantiles" => {
                let quantiles: Vec<f64> = value.split(',').filter_map(quantile).collect();
                if !quantiles.is_empty() {
                    settings.summary_quantiles = quantiles;
                }
                return;
            }
            _ => return warn!("--metrics-config={setting}={value} has no effect: there is no such setting"),
        };
        match value.as_str() {
            "true" => *switched = true,
            "false" => *switched = false,
            _ => warn!("--metrics-config={setting}={value} has no effect: true or false was expected"),
        }
    }
}

/// The error is validated but not used: every quantile is accurate to 1.6 %.
fn quantile(pair: &str) -> Option<f64> {
    let numbers = pair.split_once(':').and_then(|(quantile, error)| {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| (0.0..=1.0).contains(n));
        number(error).and(number(quantile))
    });
    if numbers.is_none() {
        warn!(
            "--metrics-config=summary_quantiles: '{pair}' is passed over, QUANTILE:ERROR was expected, both from 0 to 1"
        );
    }
    numbers
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    fn settings(flags: &[&str]) -> MetricsSettings {
        let flags = flags.iter().map(|flag| format!("--metrics-config={flag}"));
        let args = ["hippocamp".to_owned(), "--model-repository=m".to_owned()].into_iter().chain(flags);
        Args::try_parse_from(args).unwrap().metrics.settings()
    }

    #[test]
    fn settings_of_metrics() {
        assert_eq!(settings(&[]), MetricsSettings::default());
        let given = settings(&[
            "counter_latencies=false",
            "histogram_latencies=true",
            "summary_latencies=true",
            "summary_quantiles=0.5:0.05,x,0.75,2:0.1,0.25:y,0.99:0.001",
        ]);
        let expected = MetricsSettings {
            counter_latencies: false,
            histogram_latencies: true,
            summary_latencies: true,
            summary_quantiles: vec![0.5, 0.99],
            ..MetricsSettings::default()
        };
        assert_eq!(given, expected);
        // These are invalid and change nothing.
        let unknown = ["summary_latencies=True", "other=true", "summary_quantiles=x"];
        assert_eq!(settings(&unknown), MetricsSettings::default());
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        for flag in ["x", "local,summary_latencies=true", "=true", "summary_latencies="] {
            let error = MetricsConfig::from_str(flag).unwrap_err();
            assert_eq!(error, format!("--metrics-config option format is <setting>=<value>. Got {flag}"));
        }
    }
}
