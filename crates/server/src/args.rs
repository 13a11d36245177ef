//! The command line. Flags have tritonserver's names, so that a deployment switches by changing its image.

mod access;
mod cache;
mod console;
mod gpus;
mod grpc;
mod http;
mod instances;
mod limits;
mod logging;
mod metrics;
mod models;
pub(crate) mod other_flags;
mod tls;
mod torchserve;
mod trace;
mod unix_socket;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{ArgAction, Command, CommandFactory, FromArgMatches, Parser};
use hippocamp_core::Readiness;

use crate::version;

pub(crate) use access::{AccessArgs, Accesses};
pub(crate) use cache::CacheArgs;
pub(crate) use console::ConsoleArgs;
pub(crate) use gpus::GpusArgs;
pub(crate) use grpc::GrpcArgs;
pub(crate) use http::HttpArgs;
pub(crate) use instances::InstancesArgs;
pub(crate) use limits::LimitsArgs;
#[cfg(test)]
pub(crate) use logging::AccessLogFormat;
pub(crate) use logging::{LogFormat, LoggingArgs};
pub(crate) use metrics::MetricsArgs;
pub(crate) use models::{BackendConfig, ModelsArgs};
pub(crate) use tls::{GrpcTlsArgs, HttpTlsArgs, MetricsTlsArgs, warn_of_key};
pub(crate) use torchserve::TorchServeArgs;
pub(crate) use trace::TraceArgs;
pub(crate) use unix_socket::UnixSocketArgs;

/// Serves a model repository to Triton's clients: KServe v2 over HTTP and gRPC, and metrics for Prometheus.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp",
    version,
    max_term_width = 110,
    // The last value counts, as in tritonserver, because starting a container may append flags to its command line.
    args_override_self = true,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default())
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    #[command(flatten)]
    pub(crate) instances: InstancesArgs,
    #[command(flatten)]
    pub(crate) gpus: GpusArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) http_tls: HttpTlsArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
    #[command(flatten)]
    pub(crate) grpc_tls: GrpcTlsArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    #[command(flatten)]
    pub(crate) console: ConsoleArgs,
    #[command(flatten)]
    pub(crate) metrics_tls: MetricsTlsArgs,
    #[command(flatten)]
    pub(crate) torchserve: TorchServeArgs,
    #[command(flatten)]
    pub(crate) unix_socket: UnixSocketArgs,
    #[command(flatten)]
    pub(crate) limits: LimitsArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,

    /// The server's name in its metadata.
    #[arg(long, default_value = "triton", help_heading = "Server")]
    pub(crate) id: String,

    /// How many threads read, decode, encode and write; short models are executed on them, too. A connection stays on one
    /// of them. By default 1 on up to two cores, otherwise as many as the process may use, at most 64.
    #[arg(long, value_name = "N", value_parser = io_thread_count, help_heading = "Server")]
    pub(crate) io_thread_count: Option<usize>,

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

    /// What it takes for the server to be ready, beside a start that succeeded. true: every model that should be served is;
    /// one bad new model sends all traffic away, also in poll mode. served: something is served, if there is anything to serve.
    /// false: nothing more.
    #[arg(long, value_parser = readiness, value_name = "BOOL|served", default_value = "true", action = ArgAction::Set, help_heading = "Server")]
    pub(crate) strict_readiness: Readiness,
}

// What follows is broken at 78 columns, so that neither the help nor the manual breaks a line anew in a terminal of 80.
const EXAMPLES: &str = "Examples:
  hippocamp --model-repository=model_repository
  hippocamp --model-repository=/models --model-control-mode=explicit \\
      --load-model=resnet50
  hippocamp --model-repository=s3://bucket/models
  curl localhost:8000/v2/models/simple/config

Instead of serving (each has its own --help):
  hippocamp check REPOSITORY    tells all that is wrong with the models there
  hippocamp config MODEL.onnx   prints a config.pbtxt for a model file
  hippocamp infer MODEL         asks a server that runs
  hippocamp bench MODEL         loads a server that runs, and measures it
  hippocamp tune MODEL          finds the best settings of a model here
  hippocamp plan MODEL.onnx     builds a TensorRT plan, where a library can
  hippocamp archive FILE.mar    shows what an archive of TorchServe becomes
  hippocamp migrate COMMAND     reads how a tritonserver is started, and says
                                what becomes of each flag
  hippocamp top                 shows what the models of a server are doing
  hippocamp completions SHELL   has bash, zsh, fish and others complete flags
  hippocamp man                 prints the manual

A model is a folder NAME with an optional config.pbtxt and a folder for each
version: NAME/1/model.onnx.
Switches take a value as in tritonserver: --allow-http=false. Of a flag that
is given twice the last one counts.
'tritonserver' as the first word is passed over, so that a container's command
line can stay.";

const VARIABLES: &str = "Environment:
  HIPPOCAMP_ONNXRUNTIME_LIBRARY
      The shared library of ONNX Runtime, unless the flag
      --backend-config=onnxruntime,library=PATH names it. Without both it is
      looked for beside the executable, in lib/ there, in the clone that it
      was built in, in hippocamp/ of the XDG data folders, and in the package
      onnxruntime of the active Python, or of the environment that pip
      installed hippocamp into
  HIPPOCAMP_TENSORRT_LIBRARY
      TensorRT's shared library, unless --backend-config=tensorrt,library=PATH
      names it: docs/tensorrt.md says where it is looked for
  HIPPOCAMP_TENSORFLOW_LIBRARY
      libtensorflow_cc.so.2 of TensorFlow, unless the flag
      --backend-config=tensorflow,library=PATH names it. Without both it is
      looked for in the same places, and in the package tensorflow of Python
  HIPPOCAMP_PYTORCH_LIBRARY
      libtorch_cpu.so of PyTorch, unless the flag
      --backend-config=pytorch,library=PATH names it. Without both it is
      looked for in the same places, and in the package torch of Python
  TF_ENABLE_ONEDNN_OPTS, TF_CPP_MIN_LOG_LEVEL, TF_OVERRIDE_GLOBAL_THREADPOOL
      Set to 1, 2 and 1 by hippocamp unless they are set: docs/tensorflow.md
  CUBLAS_WORKSPACE_CONFIG, CUDA_DEVICE_MAX_CONNECTIONS
      Set to :16:8 and 32 by hippocamp unless they are set:
      docs/gpu-onnxruntime.md
  ORT_DISABLE_TELEMETRY
      Set to 1 by hippocamp; 0 leaves ONNX Runtime's telemetry on
  TRITON_CLOUD_CREDENTIAL_PATH, AWS_..., GOOGLE_..., AZURE_...
      Credentials of object stores: docs/repository.md
  TRITON_AWS_MOUNT_DIRECTORY, TRITON_GCS_..., TRITON_AZURE_...
      Folders of caches that stay: docs/repository.md
  TRITONSERVER_DELAY_SCHEDULER, TRITONSERVER_BACKLOG_DELAY_SCHEDULER
      Hooks for test suites: how many requests wait before a scheduler starts
  TRITONSERVER_DELAY_GRPC_PROCESS, ..._NOTIFICATION, ..._RESPONSE,
  TRITONSERVER_DELAY_RESPONSE_COMPLETION
      Hooks for test suites, in milliseconds
  RUST_BACKTRACE
      1 adds the way that led there to the log line of a panic";

const SIGNALS: &str = "Signals:
  SIGTERM, SIGINT
      Stop: running requests may finish, for --exit-timeout-secs. SIGINT twice
      ends at once
  SIGHUP
      Opens --log-file and --access-log-file anew, after they were renamed";

/// The definition of the command line with all flags.
pub(crate) fn command() -> Command {
    Args::command()
        .long_version(version::long())
        .after_help([EXAMPLES, VARIABLES, SIGNALS, &other_flags::help()].join("\n\n"))
}

/// Parses the arguments that are left by [`other_flags::sort`]. Exits if they are invalid or ask for the help.
pub(crate) fn parse(args: Vec<OsString>) -> Args {
    try_parse(args).unwrap_or_else(|error| error.exit())
}

fn try_parse(args: Vec<OsString>) -> Result<Args, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args)?;
    let args = Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    match args.contradiction() {
        None => Ok(args),
        Some(fault) => Err(command.error(ErrorKind::ArgumentConflict, fault)),
    }
}

/// What keeps the server from starting with these flags, as far as the flags alone tell; in one line. `are_all`: whether there are no
/// others, which they may need.
pub(crate) fn fault(flags: &[String], are_all: bool) -> Option<String> {
    let words = std::iter::once("hippocamp").chain(flags.iter().map(String::as_str)).map(OsString::from);
    let args = command().try_get_matches_from(words).and_then(|matches| Args::from_arg_matches(&matches));
    match args {
        Ok(args) => {
            let fault = args.check(are_all).err().map(|error| error.to_string());
            fault.or_else(|| args.contradiction().filter(|_| are_all))
        }
        Err(error) => {
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let first =
                lines.next().unwrap_or_default().trim_start_matches("error: ").trim_start_matches("Error: ");
            // What is missing stands below.
            let list = first.ends_with(':').then(|| lines.next()).flatten();
            Some(list.map_or_else(|| first.to_owned(), |list| format!("{first} {list}")))
        }
    }
}

/// Removes the word `tritonserver` with which a container's command line may begin.
pub(crate) fn without_tritonserver(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|word| Path::new(word).file_name().is_some_and(|name| name == "tritonserver"))
    {
        args.remove(1);
    }
    args
}

impl Args {
    /// Checks what is otherwise read of the flags when the server starts.
    fn check(&self, are_all: bool) -> anyhow::Result<()> {
        if are_all {
            self.models.memory_budget()?;
        }
        self.trace.start().map_err(anyhow::Error::msg)?;
        self.models.default_max_batch_size()?;
        self.instances.host_policies()?;
        self.cache.byte_size().map(drop)
    }

    /// Why two of the given flags exclude each other, if some do.
    fn contradiction(&self) -> Option<String> {
        if self.http.http_max_input_size == 0 {
            return Some("Error: --http-max-input-size must be greater than 0.".to_owned());
        }
        let of_tls = self.http_tls.contradiction().or_else(|| self.grpc_tls.contradiction());
        let of_ports =
            of_tls.or_else(|| self.metrics_tls.contradiction()).or_else(|| self.access.contradiction());
        of_ports
            .or_else(|| self.models.contradiction().map(str::to_owned))
            .or_else(|| self.torchserve.contradiction())
            .or_else(|| self.trace.start().err())
    }
}

/// Exits with a message about a flag, in clap's form.
pub(crate) fn refuse(why: &impl Display) -> ! {
    Args::command().error(ErrorKind::UnknownArgument, why).exit()
}

/// Parses the value of a boolean flag, in all spellings that tritonserver accepts.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" => Ok(true),
        "false" | "0" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Parses a value of `--io-thread-count`.
fn io_thread_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1024).contains(count));
    count.ok_or_else(|| "expected a number from 1 to 1024".to_owned())
}

/// Parses a value of `--strict-readiness`.
fn readiness(text: &str) -> Result<Readiness, String> {
    match switch(text) {
        Ok(true) => Ok(Readiness::All),
        Ok(false) => Ok(Readiness::Started),
        Err(_) if text.eq_ignore_ascii_case("served") => Ok(Readiness::Served),
        Err(_) => Err("expected true, false or served".to_owned()),
    }
}

#[cfg(test)]
mod tests;
