//! Flags of TorchServe's API.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use hippocamp_torchserve::{LoadModels, MAX_DOWNLOAD, TorchServeConfig};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "TorchServe")]
#[allow(clippy::doc_markdown, reason = "the comments are the help's text")]
pub(crate) struct TorchServeArgs {
    /// Whether to serve TorchServe's API as well, on five ports of its own: predictions, management and metrics over HTTP, predictions
    /// and management over gRPC. Archives (.mar) are models of a repository in any case.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) allow_torchserve: bool,

    /// A config.properties of TorchServe: its addresses, model_store, load_models and the like. Flags win over it. Archives in the
    /// store are then served as its load_models says, by default none.
    #[arg(long, value_name = "FILE")]
    pub(crate) ts_config: Option<PathBuf>,

    /// The address of the ports, unless config.properties has others.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ts_address: Option<String>,

    /// The port of predictions; 0 takes a free one and logs it. By default 8080.
    #[arg(long, value_name = "PORT")]
    pub(crate) ts_inference_port: Option<u16>,

    /// The port of management. By default 8081.
    #[arg(long, value_name = "PORT")]
    pub(crate) ts_management_port: Option<u16>,

    /// The port of metrics in TorchServe's names. By default 8082.
    #[arg(long, value_name = "PORT")]
    pub(crate) ts_metrics_port: Option<u16>,

    /// The port of predictions over gRPC. By default 7070.
    #[arg(long, value_name = "PORT")]
    pub(crate) ts_grpc_inference_port: Option<u16>,

    /// The port of management over gRPC. By default 7071.
    #[arg(long, value_name = "PORT")]
    pub(crate) ts_grpc_management_port: Option<u16>,

    /// Archives of the model store to serve at the start, as NAME=FILE.mar or FILE.mar; all stands for all. As load_models.
    #[arg(long = "ts-models", visible_alias = "models", value_name = "MODEL", num_args = 1.., value_delimiter = ',')]
    pub(crate) ts_models: Vec<String>,

    /// Whether clients may register and unregister models. By default they may not, as in TorchServe, except with
    /// --model-control-mode=explicit.
    #[arg(long = "ts-enable-model-api", visible_alias = "enable-model-api", value_parser = switch, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) ts_enable_model_api: Option<bool>,

    /// Whether clients have to show TorchServe's tokens, which are written to --ts-token-file. By default they have to only where
    /// config.properties says disable_token_authorization=false.
    #[arg(long, value_parser = switch, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) ts_token_auth: Option<bool>,

    /// The most bytes of an archive that a client lets the server fetch by URL. Which URLs it may fetch says allowed_urls of
    /// config.properties; without it, any whose host is on the public internet.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_DOWNLOAD)]
    pub(crate) ts_max_archive_size: u64,

    /// Where the tokens are written.
    #[arg(long, value_name = "FILE", default_value = "key_file.json")]
    pub(crate) ts_token_file: PathBuf,

    /// TorchServe's flags whose meaning is the default here, so that a command line can stay.
    #[arg(long, aliases = ["foreground", "ncs", "no-config-snapshots", "disable-token-auth", "dt"], action = ArgAction::Count)]
    pub(crate) start: u8,
}

impl TorchServeArgs {
    /// Why two of the given flags exclude each other, if some do.
    pub(super) fn contradiction(&self) -> Option<String> {
        let without = !self.allow_torchserve;
        let needing = [
            ("--ts-address", self.ts_address.is_some()),
            ("--ts-inference-port", self.ts_inference_port.is_some()),
            ("--ts-management-port", self.ts_management_port.is_some()),
            ("--ts-metrics-port", self.ts_metrics_port.is_some()),
            ("--ts-grpc-inference-port", self.ts_grpc_inference_port.is_some()),
            ("--ts-grpc-management-port", self.ts_grpc_management_port.is_some()),
            ("--ts-enable-model-api", self.ts_enable_model_api == Some(true)),
            ("--ts-token-auth", self.ts_token_auth == Some(true)),
        ];
        let (flag, _) = needing.into_iter().find(|(_, given)| without && *given)?;
        Some(format!("{flag} has no effect without --allow-torchserve"))
    }

    /// The file's settings.
    pub(crate) fn config(&self) -> anyhow::Result<TorchServeConfig> {
        match &self.ts_config {
            None => Ok(TorchServeConfig::default()),
            Some(path) => {
                TorchServeConfig::read(path).map_err(|fault| anyhow::anyhow!("--ts-config: {fault}"))
            }
        }
    }

    /// Which archives of the stores are served: all where neither a flag nor a file says anything.
    pub(crate) fn load_models(&self, config: &TorchServeConfig) -> LoadModels {
        if !self.ts_models.is_empty() {
            let each = self.ts_models.iter().map(|models| LoadModels::parse(models));
            let is_all = each.clone().any(|models| models == LoadModels::All);
            return if is_all { LoadModels::All } else { LoadModels::parse(&self.ts_models.join(",")) };
        }
        match (&config.load_models, &self.ts_config) {
            (Some(models), _) => models.clone(),
            (None, Some(_)) => LoadModels::None,
            (None, None) => LoadModels::All,
        }
    }
}
