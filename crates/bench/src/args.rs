//! The command line of `hippocamp bench`.

mod levels;
mod pair;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, ValueEnum};
use hippocamp_client::{Access, Protocol};

use crate::plan::Load;
pub(crate) use levels::{Levels, Rates};
pub(crate) use pair::{Named, Tolerance};

const EXAMPLES: &str = "Examples:\n  \
    hippocamp bench simple                                   one request at a time for five seconds\n  \
    hippocamp bench simple -c 1,4,16 --url localhost:8001    three levels over gRPC\n  \
    hippocamp bench simple --rate 500 --poisson              as 500 requests of strangers a second\n  \
    hippocamp bench resnet50 --shape image:3,224,224 --batch 8 -c 1:16:4 --json result.json --svg latencies.svg\n  \
    hippocamp bench detection --input raw_image=@picture.jpg --requests 1000 --draw found.png\n  \
    hippocamp bench llm --stream --protocol grpc -c 8         a decoupled model, with the time to the first response\n  \
    hippocamp bench tracker --sequences 16 --length 20       sixteen sequences at the same time\n  \
    hippocamp bench segmentation --shared-memory system      tensors in shared memory (--allow-client-shm=true)\n  \
    hippocamp bench segmentation --shared-memory cuda        tensors that stay in the memory of a GPU\n  \
    hippocamp bench simple --local --model-repository models in this process, then served, side by side\n  \
    hippocamp bench --compare net-torch,net-trt --tolerance 1e-3\n  \
                                                             two models that should agree: speed and differences\n\n\
    A closed loop (--concurrency) sends the next request when one was answered: how much the server can do. An open loop\n\
    (--rate) sends as if clients did not know of each other, and counts latencies from when a request was to be sent: what\n\
    users see, stalls included.";

/// Loads a running server with requests for one model, and reports throughput and latencies.
///
/// Inputs are random unless --input gives them. Each level of the load is warmed up, then measured.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "hippocamp bench",
    bin_name = "hippocamp bench",
    max_term_width = 110,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default()),
    after_help = EXAMPLES
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BenchArgs {
    /// The model's name.
    #[arg(required_unless_present = "compare")]
    pub model: Option<String>,

    /// Where the server listens: localhost:8000 for HTTP, localhost:8001 for gRPC.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Server")]
    pub url: Option<String>,

    /// By default gRPC for port 8001, HTTP for any other.
    #[arg(long, value_enum, help_heading = "Server")]
    pub protocol: Option<Protocol>,

    /// The model's version. The server chooses by default.
    #[arg(long = "version", value_name = "VERSION", help_heading = "Server")]
    pub model_version: Option<String>,

    /// Closed loop: so many requests are always under way, the next is sent when one was answered. A list, or a range
    /// FIRST:LAST:STEP, measures one after the other.
    #[arg(
        long,
        short = 'c',
        value_name = "N|N,N|FIRST:LAST:STEP",
        default_value = "1",
        help_heading = "Load"
    )]
    pub concurrency: Levels,

    /// Open loop: so many requests are sent every second, whether or not others were answered. A list or a range as above; of less than one
    /// a second, too, such as 0.5.
    #[arg(long, value_name = "N|N,N|FIRST:LAST:STEP", conflicts_with = "concurrency", help_heading = "Load")]
    pub rate: Option<Rates>,

    /// With --rate: at random times as of many independent clients, instead of the same times apart.
    #[arg(long, requires = "rate", help_heading = "Load")]
    pub poisson: bool,

    /// With --rate: at most so many requests are under way. Those that have to wait for that count as if they were sent.
    #[arg(
        long,
        value_name = "N",
        requires = "rate",
        default_value_t = 128,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Load"
    )]
    pub in_flight: u32,

    /// So many sequences at the same time, one after the other each, with correlation ids and marks of begin and end.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with_all = ["concurrency", "in_flight"],
        help_heading = "Load"
    )]
    pub sequences: Option<u32>,

    /// How many requests a sequence has.
    #[arg(
        long,
        value_name = "N",
        requires = "sequences",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Load"
    )]
    pub length: u32,

    /// The number of connections. By default one for each request under way over HTTP, and for each six over gRPC.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub connections: Option<u32>,

    /// The number of threads that send. By default one, and more while those that there are have no time left.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub threads: Option<u32>,

    /// How long each level is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds, conflicts_with = "requests", help_heading = "Measurement")]
    pub seconds: f64,

    /// Measures so many requests instead of a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Measurement")]
    pub requests: Option<u64>,

    /// How long requests are sent before each measurement, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds, help_heading = "Measurement")]
    pub warm_up: f64,

    /// How long answers are awaited before a level and at its end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = "Measurement")]
    pub timeout: u64,

    /// Over gRPC: sends requests on streams, as decoupled models want it.
    #[arg(long, help_heading = "Request")]
    pub stream: bool,

    /// Where tensors are, beside the messages: in shared memory of the machine that server and generator are on.
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Request")]
    pub shared_memory: Option<MemoryKind>,

    /// The GPU of --shared-memory=cuda, as this process counts them.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..), help_heading = "Request")]
    pub gpu: i32,

    /// A value of an input, as `hippocamp infer` takes it: NAME=1,2,3 or NAME=@FILE. Other inputs are random.
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE", help_heading = "Request")]
    pub inputs: Vec<String>,

    /// The shape of an input that the model leaves open, with or without the batch.
    #[arg(long = "shape", value_name = "NAME:1,3,224,224", help_heading = "Request")]
    pub shapes: Vec<String>,

    /// The number of items in a request to a model that takes batches.
    #[arg(long, short = 'b', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..), help_heading = "Request")]
    pub batch: i64,

    /// Asks for these outputs only. All by default.
    #[arg(long = "output", short = 'o', value_name = "NAME", help_heading = "Request")]
    pub outputs: Vec<String>,

    /// A request parameter. A whole number, a number, true and false are sent as such, all else as text.
    #[arg(long = "param", value_name = "KEY=VALUE", help_heading = "Request")]
    pub parameters: Vec<String>,

    /// Measures the model in this process, without sockets, and then the same models in a server of their own, or in that of
    /// --url.
    #[arg(long, requires = "model_repository", conflicts_with_all = ["stream", "shared_memory", "parameters"], help_heading = "Server")]
    pub local: bool,

    /// The models of --local.
    #[arg(long, value_name = "FOLDER", requires = "local", help_heading = "Server")]
    pub model_repository: Vec<PathBuf>,

    /// A setting of a backend of --local, as for the server: onnxruntime,library=PATH.
    #[arg(long, value_name = "[BACKEND,]KEY=VALUE", requires = "local", help_heading = "Server")]
    pub backend_config: Vec<String>,

    /// Where Triton's own backends are, for --local.
    #[arg(long, value_name = "DIR", requires = "local", help_heading = "Server")]
    pub backend_directory: Option<PathBuf>,

    /// Runs instances of --local on the CPU whose config asks for GPUs that this machine does not have, as the server does with this flag.
    #[arg(long, requires = "local", help_heading = "Server")]
    pub cpu_fallback: bool,

    /// Compares two models that should agree, such as one by two engines: they get the same inputs, are measured in turns, and the
    /// largest differences of each output are told. A model is NAME or NAME:VERSION.
    #[arg(
        long,
        value_name = "A,B",
        value_parser = clap::value_parser!(Named),
        value_delimiter = ',',
        num_args = 1,
        conflicts_with_all = ["model", "local", "stream", "sequences", "draw", "model_version", "csv", "svg"],
        help_heading = "Comparison"
    )]
    pub compare: Vec<Named>,

    /// Where B is served, if that is elsewhere than --url.
    #[arg(long, value_name = "HOST:PORT", requires = "compare", help_heading = "Comparison")]
    pub compare_url: Option<String>,

    /// How many inputs the answers are compared on, as far as inputs are random.
    #[arg(long, value_name = "N", requires = "compare", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Comparison")]
    pub samples: u32,

    /// Into how many rounds the measurement is divided. In each, both models are measured, one after the other, so that what
    /// changes on the machine meanwhile changes both.
    #[arg(long, value_name = "N", requires = "compare", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Comparison")]
    pub rounds: u32,

    /// The exit status is 1 if numbers differ by more than ABSOLUTE + RELATIVE * |B|, if texts or shapes differ, or an output is
    /// there once only.
    #[arg(long, value_name = "ABSOLUTE[,RELATIVE]", requires = "compare", help_heading = "Comparison")]
    pub tolerance: Option<Tolerance>,

    /// Draws what was found in the picture that was sent, as `hippocamp infer` does.
    #[arg(long, value_name = "FILE", conflicts_with = "stream", help_heading = "Results")]
    pub draw: Option<PathBuf>,

    /// The least score of what is drawn.
    #[arg(long, value_name = "SCORE", default_value_t = 0.4, help_heading = "Results")]
    pub threshold: f32,

    /// Writes all results as JSON.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub json: Option<PathBuf>,

    /// Writes a line for each level as CSV.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub csv: Option<PathBuf>,

    /// Draws the distribution of latencies, a curve for each level.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub svg: Option<PathBuf>,

    /// Tells every second how far it is, where standard error is no terminal.
    #[arg(long, help_heading = "Results")]
    pub progress: bool,

    #[command(flatten)]
    pub access: Access,
}

/// Kinds of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemoryKind {
    /// Objects in /dev/shm.
    System,
    /// Memory of the GPU that --gpu names.
    Cuda,
}

impl BenchArgs {
    /// The name of the model that is measured alone; empty where two are compared.
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The levels that are measured one after the other.
    pub(crate) fn loads(&self) -> Vec<Load> {
        match (&self.rate, self.sequences) {
            (Some(rates), sequences) => {
                let workers = sequences.unwrap_or(self.in_flight);
                rates.iter().map(|rate| Load::Open { rate, is_poisson: self.poisson, workers }).collect()
            }
            (None, Some(concurrency)) => vec![Load::Closed { concurrency }],
            (None, None) => self.concurrency.iter().map(|concurrency| Load::Closed { concurrency }).collect(),
        }
    }
}

/// Parses a time that is not negative.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, such as 2 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests;
