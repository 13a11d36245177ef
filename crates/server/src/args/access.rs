//! Flags of who may make which call.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hippocamp_access::{Access, Auth, Protocol, Restrictions};

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// Answer the HTTP requests of these categories only to clients that send the header KEY with that value. Categories:
    /// health, metadata, inference, shared-memory, model-config, model-repository, statistics, trace, logging. May be given
    /// several times. A value in a command line is seen by everybody on the machine: --auth-config takes it from a file.
    #[arg(long, value_name = "CATEGORY,...:KEY=VALUE")]
    http_restricted_api: Vec<String>,

    /// The same for gRPC. Clients send the header triton-grpc-protocol-KEY.
    #[arg(long, value_name = "CATEGORY,...:KEY=VALUE")]
    grpc_restricted_protocol: Vec<String>,

    /// A TOML file of tokens: who may read, infer with and administer which models. It is read again when it changes, as are
    /// the files that it names. See docs/securing.md.
    #[arg(long, value_name = "FILE")]
    auth_config: Option<PathBuf>,
}

/// Who may do what on each port.
#[derive(Debug)]
pub(crate) struct Accesses {
    pub(crate) http: Access,
    pub(crate) grpc: Access,
    pub(crate) metrics: Access,
    /// What has to be read again when it changes.
    pub(crate) auth: Option<Arc<Auth>>,
}

impl AccessArgs {
    /// What is wrong with a restriction, in Triton's words.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.restrictions(Protocol::Http).and_then(|_| self.restrictions(Protocol::Grpc)).err()
    }

    fn restrictions(&self, protocol: Protocol) -> Result<Restrictions, String> {
        let values = match protocol {
            Protocol::Http => &self.http_restricted_api,
            Protocol::Grpc => &self.grpc_restricted_protocol,
        };
        Restrictions::from_flags(protocol, values.iter().map(String::as_str))
    }

    /// Reads the file of tokens.
    pub(crate) fn open(&self) -> anyhow::Result<Accesses> {
        let auth = self.auth_config.as_deref().map(Auth::read).transpose()?;
        let access = |protocol| {
            let restrictions = self.restrictions(protocol).map_err(anyhow::Error::msg)?;
            anyhow::Ok(Access::new(restrictions, auth.clone()))
        };
        Ok(Accesses {
            http: access(Protocol::Http)?,
            grpc: access(Protocol::Grpc)?,
            metrics: Access::new(Restrictions::none(Protocol::Http), auth.clone()),
            auth,
        })
    }
}
