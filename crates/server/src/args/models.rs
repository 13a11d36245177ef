//! Flags about models and backends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use hippocamp_core::{ControlMode, WatchSettings};

use super::switch;

const REPOSITORY_HELP: &str = "A folder of models, or a place in an object store: s3://bucket/path, \
    s3://host:port/bucket/path, gs://bucket/path, as://account/container/path. May be given several times; no two \
    repositories may have a model of the same name, unless --model-namespacing says otherwise";

const NAMESPACING_HELP: &str = "Serve models of the same name from each repository that has one, as NAMESPACE::NAME. A \
    repository's namespace is the last part of its path";

#[derive(Debug, Args)]
#[command(next_help_heading = "Models")]
pub(crate) struct ModelsArgs {
    #[arg(long, visible_alias = "model-store", value_name = "FOLDER", required_unless_present = "ts_config", help = REPOSITORY_HELP)]
    pub(crate) model_repository: Vec<PathBuf>,

    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, help = NAMESPACING_HELP)]
    pub(crate) model_namespacing: bool,

    /// Who decides which models are loaded: none, all of them at the start; explicit, --load-model and clients; poll, the
    /// repository: what is put there, changed or removed is followed while the server runs.
    #[arg(long, value_name = "MODE", default_value = "none", ignore_case = true)]
    pub(crate) model_control_mode: Mode,

    /// In poll mode: seconds between looks at the whole repository, besides what the system tells of at once. They find
    /// changes on network disks and in object stores. 0 for none.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub(crate) repository_poll_secs: u64,

    /// A model to load at the start in explicit mode. May be given several times; * alone stands for all.
    #[arg(long, value_name = "NAME")]
    pub(crate) load_model: Vec<String>,

    /// Prefer configs/NAME.pbtxt of a model's folder to its config.pbtxt.
    #[arg(long, value_name = "NAME", value_parser = config_name)]
    pub(crate) model_config_name: Option<String>,

    /// Take configs as they are written, without filling in what the model file tells.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) disable_auto_complete_config: bool,

    /// Deprecated: true is --disable-auto-complete-config.
    #[arg(long, value_parser = switch, value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) strict_model_config: Option<bool>,

    /// Load each model when the first request asks for it, which waits for that. Until then the model stands by: it is ready,
    /// and takes no memory. Whatever --model-control-mode would load stands by; what a client loads by request is loaded at
    /// once, and stays until a client unloads it.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) lazy_load: bool,

    /// With --lazy-load: how many bytes the loaded models may take, reckoned as the sizes of the files of their versions times
    /// their instances. To make room, the models that were used least recently stand by again. 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(crate) lazy_load_memory_budget: u64,

    /// How many models are loaded at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) model_load_thread_count: usize,

    /// How often a load that failed is tried again: the fetching from a store, and the loading itself.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) model_load_retry_count: u32,

    /// Where Triton's own backends are, each in a folder of its name, such as `mine/libtriton_mine.so`. A model may also bring its
    /// backend's library in its own folder. A backend of this server goes before one of the same name in DIR, unless the model's
    /// config names the library's file by 'runtime'.
    #[arg(long, value_name = "DIR", default_value = "/opt/tritonserver/backends")]
    pub(crate) backend_directory: PathBuf,

    /// A setting of a backend (onnxruntime,library=PATH) or of all (default-max-batch-size=4). May be given several
    /// times.
    #[arg(long, value_name = "[BACKEND,]KEY=VALUE")]
    pub(crate) backend_config: Vec<BackendConfig>,
}

/// The values of `--model-control-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    None,
    Explicit,
    Poll,
}

impl Mode {
    pub(crate) fn control_mode(self) -> ControlMode {
        match self {
            Mode::None => ControlMode::None,
            Mode::Explicit => ControlMode::Explicit,
            Mode::Poll => ControlMode::Poll,
        }
    }
}

/// One `--backend-config`. Without a backend it applies to all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendConfig {
    pub(crate) backend: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for BackendConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (backend, setting) = text.split_once(',').unwrap_or(("", text));
        let (key, value) = setting
            .split_once('=')
            .filter(|(key, _)| !key.is_empty() && !backend.contains('='))
            .ok_or("expected BACKEND,KEY=VALUE or KEY=VALUE")?;
        Ok(BackendConfig { backend: backend.to_owned(), key: key.to_owned(), value: value.to_owned() })
    }
}

/// Parses a value of `--model-config-name`.
fn config_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("Error: empty argument for --model-config-name".to_owned());
    }
    Ok(text.to_owned())
}

impl ModelsArgs {
    /// Why two of the given flags exclude each other, if some do.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        if self.load_model.is_empty() {
            return None;
        }
        if self.model_control_mode != Mode::Explicit {
            return Some("Use of '--load-model' requires setting '--model-control-mode=explicit' as well.");
        }
        let all = self.load_model.iter().any(|name| name == "*");
        let others = self.load_model.iter().any(|name| name != "*");
        (all && others)
            .then_some("Wildcard model name '*' must be the ONLY startup model if specified at all.")
    }

    /// Whether auto-completion of configs is disabled.
    pub(crate) fn takes_configs_as_written(&self) -> bool {
        if let Some(strict) = self.strict_model_config {
            tracing::warn!(
                "--strict-model-config is deprecated: use --disable-auto-complete-config={}",
                strict || self.disable_auto_complete_config
            );
        }
        self.disable_auto_complete_config || self.strict_model_config == Some(true)
    }

    /// The (key, value) settings of one backend in their order, without the settings of all backends.
    #[cfg(any(
        test,
        feature = "onnxruntime",
        feature = "tensorrt",
        feature = "tensorflow",
        feature = "pytorch"
    ))]
    pub(crate) fn backend_settings(&self, backend: &str) -> Vec<(&str, &str)> {
        let own = self.backend_config.iter().filter(|c| c.backend == backend);
        own.map(|c| (c.key.as_str(), c.value.as_str())).collect()
    }

    /// How to follow changes of the repositories; `None` unless in poll mode.
    pub(crate) fn watch(&self) -> Option<WatchSettings> {
        let poll = (self.repository_poll_secs > 0).then(|| Duration::from_secs(self.repository_poll_secs));
        (self.model_control_mode == Mode::Poll).then(|| WatchSettings { poll, ..WatchSettings::default() })
    }

    /// The memory budget of lazy loading in bytes; 0 for no limit.
    pub(crate) fn memory_budget(&self) -> anyhow::Result<u64> {
        if self.lazy_load_memory_budget > 0 && !self.lazy_load {
            anyhow::bail!("--lazy-load-memory-budget has no effect without --lazy-load");
        }
        Ok(self.lazy_load_memory_budget)
    }

    /// The default largest batch size by backend.
    pub(crate) fn default_max_batch_size(&self) -> anyhow::Result<BTreeMap<String, i32>> {
        let given = self.backend_config.iter().filter(|c| c.key == "default-max-batch-size");
        given
            .map(|c| match c.value.parse::<i32>() {
                Ok(size) if size >= 0 => Ok((c.backend.clone(), size)),
                _ => anyhow::bail!(
                    "--backend-config: default-max-batch-size should be 0 or more, got '{}'",
                    c.value
                ),
            })
            .collect()
    }
}
