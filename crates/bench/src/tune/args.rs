//! The command line of `hippocamp tune`.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, ValueEnum};

use crate::args::BenchArgs;

const EXAMPLES: &str = "Examples:\n  \
    hippocamp tune resnet50 --model-repository models                  the highest throughput\n  \
    hippocamp tune resnet50 --model-repository models --latency 20     the highest with 99 % of requests below 20 ms\n  \
    hippocamp tune bert --model-repository models --shape ids:128 --dry-run --svg tuned.svg\n\n\
    The model is loaded into this process and asked in a closed loop with more and more requests under way. Settings are tried one\n\
    after the other: instances and threads, batch size, queue delay. What is better is kept, and written into config.pbtxt as\n\
    an edit that leaves the rest as it is. Nothing else should run on the machine meanwhile.";

/// Tries instance counts, threads, batch sizes and queue delays of a model on this machine, and writes the best into its config.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "hippocamp tune",
    bin_name = "hippocamp tune",
    max_term_width = 110,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default()),
    after_help = EXAMPLES
)]
pub struct TuneArgs {
    /// The model's name.
    pub model: String,

    /// The repository that the model is in.
    #[arg(long, value_name = "FOLDER", required = true)]
    pub model_repository: Vec<PathBuf>,

    /// 99 of 100 requests are to be answered within so many milliseconds. Without it the highest throughput is looked for.
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub latency: Option<f64>,

    /// The most requests under way.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub concurrency: u32,

    /// How long each level of the load is measured at most, after a third of it to warm up. It ends once enough is known. Slow models
    /// are given up to two seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3, value_parser = seconds)]
    pub seconds: f64,

    /// Which settings are tried. All by default.
    #[arg(long, value_enum, value_name = "SETTING,SETTING", value_delimiter = ',')]
    pub only: Vec<Setting>,

    /// The most instances that are tried. As many as there are cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub max_instances: Option<u32>,

    /// The largest batch that is tried.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_batch: u32,

    /// A value of an input, as `hippocamp infer` takes it: NAME=1,2,3 or NAME=@FILE. Other inputs are random.
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,

    /// The shape of an input that the model leaves open.
    #[arg(long = "shape", value_name = "NAME:1,3,224,224")]
    pub shapes: Vec<String>,

    /// A setting of a backend, as for the server: onnxruntime,library=PATH.
    #[arg(long, value_name = "[BACKEND,]KEY=VALUE")]
    pub backend_config: Vec<String>,

    /// Where Triton's own backends are, such as that of Python models, as for the server.
    #[arg(long, value_name = "DIR")]
    pub backend_directory: Option<PathBuf>,

    /// Runs instances on the CPU whose config asks for GPUs that this machine does not have, as the server does with this flag.
    #[arg(long)]
    pub cpu_fallback: bool,

    /// Tells what is best, and writes no config.
    #[arg(long)]
    pub dry_run: bool,

    /// Draws throughput against latency of all that was tried.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// A setting that can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Setting {
    /// The number of instances.
    Instances,
    /// The threads within an execution.
    Threads,
    /// The largest batch.
    Batch,
    /// How long a batch waits for company.
    Delay,
}

impl TuneArgs {
    pub(crate) fn tries(&self, setting: Setting) -> bool {
        self.only.is_empty() || self.only.contains(&setting)
    }

    /// The measurement of each level.
    pub(crate) fn bench(&self) -> BenchArgs {
        let mut args = BenchArgs::parse_from(["hippocamp bench", &self.model]);
        (args.seconds, args.warm_up) = (self.seconds, self.seconds / 3.0);
        (args.inputs, args.shapes) = (self.inputs.clone(), self.shapes.clone());
        args
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    positive(text, 3_600_000.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    positive(text, 3600.0)
}

fn positive(text: &str, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= most);
    number.ok_or_else(|| format!("expected a number above 0 and up to {most}"))
}
