//! Flags of unix sockets, which are served beside the ports.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Unix sockets")]
pub(crate) struct UnixSocketArgs {
    /// Serve HTTP on this unix socket, too. An address `unix:PATH` serves it there only.
    #[arg(long, value_name = "PATH")]
    pub(crate) http_unix_socket: Option<PathBuf>,

    /// Serve gRPC on this unix socket, too. An address `unix:PATH` serves it there only. Clients of gRPC write `unix:PATH`.
    #[arg(long, value_name = "PATH")]
    pub(crate) grpc_unix_socket: Option<PathBuf>,

    /// Who may connect to the unix sockets: their permissions in octal. 660: the server's user and group.
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = mode)]
    pub(crate) unix_socket_mode: u32,
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "expected permissions in octal, from 0 to 777".to_owned())
}
