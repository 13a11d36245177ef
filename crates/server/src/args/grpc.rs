//! Flags of the gRPC front.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use hippocamp_core::HeaderForwarding;
use hippocamp_grpc::{CompressionLevel, GrpcSettings};
use hippocamp_net::{Http2, Pings};

use super::switch;

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(next_help_heading = "gRPC")]
pub(crate) struct GrpcArgs {
    /// Whether to serve gRPC.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) allow_grpc: bool,

    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub(crate) grpc_address: String,

    /// The port to listen on; 0 takes a free one and logs it.
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    pub(crate) grpc_port: u16,

    /// Let several servers listen on the same port.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub(crate) reuse_grpc_port: bool,

    /// Hand the metadata of an inference call whose names match this regular expression, in any case of letters, to the model as
    /// parameters.
    #[arg(long, value_name = "REGEX", default_value = "", value_parser = HeaderForwarding::new)]
    pub(crate) grpc_header_forward_pattern: HeaderForwarding,

    /// Whether to compress the responses of inference calls for clients that take it: low takes gzip, medium and high take
    /// deflate, where the client takes both.
    #[arg(long, value_name = "LEVEL", default_value = "none", ignore_case = true)]
    pub(crate) grpc_infer_response_compression_level: Level,

    /// Whether clients such as grpcurl may ask which calls there are, and how their messages are written.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) grpc_reflection: bool,

    /// Ask a connection that was silent for so many milliseconds whether it is alive.
    #[arg(long, value_name = "MS", default_value_t = 7_200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) grpc_keepalive_time: u64,

    /// And close it if it does not answer within so many.
    #[arg(long, value_name = "MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) grpc_keepalive_timeout: u64,

    /// Whether connections without a call are asked, too, and may ask.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub(crate) grpc_keepalive_permit_without_calls: bool,

    /// How many times to ask with no piece of an answer sent in between; 0 for any number.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) grpc_http2_max_pings_without_data: u32,

    /// How many milliseconds clients have to leave between two pings if no piece of an answer was sent in between.
    #[arg(long, value_name = "MS", default_value_t = 300_000)]
    pub(crate) grpc_http2_min_recv_ping_interval_without_data: u64,

    /// How many pings of a client may come sooner than that before its connection is closed; 0 for any number.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) grpc_http2_max_ping_strikes: u32,

    /// Close connections at that age in milliseconds; clients then connect anew. 0 for never.
    #[arg(long, value_name = "MS")]
    pub(crate) grpc_max_connection_age: Option<u64>,

    /// How long calls on such a connection may take to finish, in milliseconds. 0 for as long as they like.
    #[arg(long, value_name = "MS")]
    pub(crate) grpc_max_connection_age_grace: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    None,
    Low,
    Medium,
    High,
}

impl GrpcArgs {
    pub(crate) fn settings(&self) -> GrpcSettings {
        GrpcSettings {
            response_compression: match self.grpc_infer_response_compression_level {
                Level::None => CompressionLevel::None,
                Level::Low => CompressionLevel::Low,
                Level::Medium => CompressionLevel::Medium,
                Level::High => CompressionLevel::High,
            },
            reflection: self.grpc_reflection,
            mounted_services: &["nvidia.inferenceserver.GRPCService"],
            header_forwarding: self.grpc_header_forward_pattern.clone(),
            http2: Http2 {
                pings: Pings {
                    time: Duration::from_millis(self.grpc_keepalive_time),
                    timeout: Duration::from_millis(self.grpc_keepalive_timeout),
                    permit_without_calls: self.grpc_keepalive_permit_without_calls,
                    max_without_data: self.grpc_http2_max_pings_without_data,
                    min_received_interval: Duration::from_millis(
                        self.grpc_http2_min_recv_ping_interval_without_data,
                    ),
                    max_strikes: self.grpc_http2_max_ping_strikes,
                },
                max_connection_age: limit(self.grpc_max_connection_age),
                max_connection_age_grace: limit(self.grpc_max_connection_age_grace),
                ..Http2::default()
            },
            ..GrpcSettings::default()
        }
    }
}

/// 0 means no limit, as in tritonserver.
fn limit(ms: Option<u64>) -> Option<Duration> {
    ms.filter(|&ms| ms > 0).map(Duration::from_millis)
}
