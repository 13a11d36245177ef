//! Flags of the HTTP front.

use clap::{ArgAction, Args, ValueEnum};
use hippocamp_core::HeaderForwarding;
use hippocamp_http::ResponseCompression;

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArgs {
    /// Whether to serve HTTP.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_http: bool,

    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub(crate) http_address: String,

    /// The port to listen on; 0 takes a free one and logs it.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) http_port: u16,

    /// Let several servers listen on the same port.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub(crate) reuse_http_port: bool,

    /// The most bytes of a request's JSON, of a tensor in it, of a raw request and of a compressed one when unpacked.
    /// Binary tensors behind the JSON do not count.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub(crate) http_max_input_size: usize,

    /// Hand the headers of an inference request whose names match this regular expression, in any case of letters, to the model as
    /// parameters.
    #[arg(long, value_name = "REGEX", default_value = "", value_parser = HeaderForwarding::new)]
    pub(crate) http_header_forward_pattern: HeaderForwarding,

    /// Which responses to compress for clients that take it: auto leaves binary tensors as they are if Accept-Encoding lists
    /// several codings, as HTTP libraries do of their own.
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub(crate) http_response_compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    Auto,
    Always,
    Never,
}

impl From<Compression> for ResponseCompression {
    fn from(compression: Compression) -> ResponseCompression {
        match compression {
            Compression::Auto => ResponseCompression::Auto,
            Compression::Always => ResponseCompression::Always,
            Compression::Never => ResponseCompression::Never,
        }
    }
}
