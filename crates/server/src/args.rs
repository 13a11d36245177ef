//! The command line: tritonserver's flags by their names, so that a deployment switches by its image alone.

mod cache;
mod grpc;
mod http;
mod instances;
mod limits;
mod logging;
mod metrics;
mod models;
pub(crate) mod other_flags;

use std::fmt::Display;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, CommandFactory, Parser};

pub(crate) use cache::CacheArgs;
pub(crate) use grpc::GrpcArgs;
pub(crate) use http::HttpArgs;
pub(crate) use instances::InstancesArgs;
pub(crate) use limits::LimitsArgs;
pub(crate) use logging::{LogFormat, LoggingArgs};
pub(crate) use metrics::MetricsArgs;
pub(crate) use models::{BackendConfig, ModelsArgs};

/// Serves a model repository to Triton's clients: KServe v2 over HTTP and gRPC, and metrics for Prometheus.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp",
    version,
    max_term_width = 110,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default()),
    after_help = "Examples:\n  \
        hippocamp --model-repository=model_repository\n  \
        hippocamp --model-repository=/models --model-control-mode=explicit --load-model=resnet50\n  \
        hippocamp --model-repository=s3://bucket/models\n  \
        curl localhost:8000/v2/models/simple/config\n\n\
        Instead of serving (each has its own --help):\n  \
        hippocamp check REPOSITORY    tells all that is wrong with the models there\n  \
        hippocamp config MODEL.onnx   prints a config.pbtxt for a model file\n  \
        hippocamp infer MODEL         asks a server that runs\n\n\
        A model is a folder NAME with an optional config.pbtxt and a folder for each version: NAME/1/model.onnx.\n\
        Switches take a value as in tritonserver: --allow-http=false."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    #[command(flatten)]
    pub(crate) instances: InstancesArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    #[command(flatten)]
    pub(crate) limits: LimitsArgs,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,

    /// The server's name in its metadata.
    #[arg(long, default_value = "triton", help_heading = "Server")]
    pub(crate) id: String,

    /// Whether clients may register shared memory. Who may ask for that can read and write every shared memory object
    /// that the server can: only for clients that are trusted.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, help_heading = "Server")]
    pub(crate) allow_client_shm: bool,

    /// How long running requests may take to finish after SIGTERM or SIGINT, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, help_heading = "Server")]
    pub(crate) exit_timeout_secs: u64,

    /// How long to serve on after SIGTERM or SIGINT as one that is not ready, in seconds, before requests are refused: for
    /// proxies that look at the health only now and then. Comes before the time of --exit-timeout-secs.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, help_heading = "Server")]
    pub(crate) drain_delay_secs: u64,

    /// Whether to exit when a model fails to load at the start. The models that are fine are served otherwise.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set, help_heading = "Server")]
    pub(crate) exit_on_error: bool,

    /// Whether the server is ready only while every model that it should serve is.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set, help_heading = "Server")]
    pub(crate) strict_readiness: bool,
}

/// Ends the program because of a flag, as clap does for those that it knows.
pub(crate) fn refuse(why: &impl Display) -> ! {
    Args::command().error(clap::error::ErrorKind::UnknownArgument, why).exit()
}

/// A switch's value, in all spellings that tritonserver takes.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" => Ok(true),
        "false" | "0" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests;
