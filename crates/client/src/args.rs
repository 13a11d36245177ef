//! The command line of `hippocamp infer`.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, ValueEnum};

use crate::access::Access;

/// Sends one request to a running server, and shows its answer.
///
/// What an input takes is read from the model's metadata: a file for BYTES and UINT8, numbers for all others.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp infer",
    bin_name = "hippocamp infer",
    max_term_width = 110,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default()),
    after_help = "Examples:\n  \
        hippocamp infer detection --input raw_image=@picture.jpg --draw out.png\n  \
        hippocamp infer detection --input @picture.jpg --json\n  \
        hippocamp infer simple --input INPUT0=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 --input INPUT1=@ones.npy\n  \
        hippocamp infer resnet50 --input image=@tensor.raw --shape image=1,3,224,224 --output scores\n  \
        hippocamp infer face --input @picture.jpg --url localhost:8001 --protocol grpc\n  \
        hippocamp infer face --input @picture.jpg --token-file me.token     (a server with --auth-config)\n\n\
        Values of --input:\n  \
        NAME=1,2,3      numbers; for BYTES one text, or as many as the model's shape wants\n  \
        NAME=@FILE      BYTES and UINT8 take the file as it is; other types take .npy, .raw (little-endian) or text\n  \
        @FILE           the same without a name, where a model has one input only\n\
        The same input given more than once makes a batch."
)]
pub struct InferArgs {
    /// The model's name.
    pub model: String,

    /// A value of an input, see below. Once for each input.
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,

    /// The shape of an input whose open sizes do not follow from its value.
    #[arg(long = "shape", value_name = "NAME=1,3,224,224")]
    pub shapes: Vec<String>,

    /// Asks for these outputs only. All by default.
    #[arg(long = "output", short = 'o', value_name = "NAME")]
    pub outputs: Vec<String>,

    /// A request parameter. A whole number, a number, true and false are sent as such, all else as text.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub parameters: Vec<String>,

    /// The model's version. The server chooses by default.
    #[arg(long = "version", value_name = "VERSION")]
    pub model_version: Option<String>,

    /// Where the server listens: localhost:8000 for HTTP, localhost:8001 for gRPC.
    #[arg(long, value_name = "HOST:PORT")]
    pub url: Option<String>,

    /// By default gRPC for port 8001, HTTP for any other.
    #[arg(long, value_enum)]
    pub protocol: Option<Protocol>,

    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,

    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,

    /// Writes the picture with what was found in it, as PNG or JPEG by the name.
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,

    /// The least score of what is drawn and listed among detections.
    #[arg(long, value_name = "SCORE", default_value_t = 0.4)]
    pub threshold: f32,

    #[command(flatten)]
    pub access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Http,
    Grpc,
}
