//! Flags of the metrics port.

use clap::{ArgAction, Args};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Whether to serve metrics for Prometheus, under /metrics.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_metrics: bool,

    /// The address to listen on; by default that of HTTP.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_address: Option<String>,

    /// The port to listen on; 0 takes a free one and logs it.
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    pub(crate) metrics_port: u16,
}
