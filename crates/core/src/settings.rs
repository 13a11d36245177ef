//! What the server is told at its start.

use std::collections::BTreeMap;

use hippocamp_repository::{RepositoryLocation, ScanOptions};

/// Who decides which models are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlMode {
    /// Every model of the repositories, at the start; nothing changes later.
    #[default]
    None,
    /// The models named at the start, then what clients load and unload.
    Explicit,
}

/// Settings of the server, independent of any protocol.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name in its metadata.
    pub id: String,
    pub repositories: Vec<RepositoryLocation>,
    /// Whether models of the same name are served from each repository that has one, under its namespace.
    pub model_namespacing: bool,
    pub control_mode: ControlMode,
    /// Models to load at the start in explicit mode; `*` stands for all.
    pub load_models: Vec<String>,
    /// The custom config that is preferred where a model has it: `configs/<name>.pbtxt`.
    pub model_config_name: Option<String>,
    /// Whether the server is ready only while every model that it should serve is.
    pub strict_readiness: bool,
    /// Takes configs as they are written.
    pub disable_auto_complete_config: bool,
    /// How many models are loaded at once.
    pub model_load_thread_count: usize,
    /// How often a load that failed is tried again.
    pub model_load_retry_count: u32,
    /// By backend: `max_batch_size` of a model that can be batched and does not say how far. The empty name stands for
    /// every backend that is not listed.
    pub default_max_batch_size: BTreeMap<String, i32>,
}

impl Default for Settings {
    /// The defaults of the command line.
    fn default() -> Self {
        Settings {
            id: "triton".to_owned(),
            repositories: Vec::new(),
            model_namespacing: false,
            control_mode: ControlMode::None,
            load_models: Vec::new(),
            model_config_name: None,
            strict_readiness: true,
            disable_auto_complete_config: false,
            model_load_thread_count: 4,
            model_load_retry_count: 0,
            default_max_batch_size: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// How the repositories are looked at.
    pub fn scan_options(&self) -> ScanOptions {
        ScanOptions {
            config_name: self.model_config_name.clone(),
            namespacing: self.model_namespacing,
            ..ScanOptions::default()
        }
    }

    /// `max_batch_size` for a model of that backend which can be batched and does not say how far.
    pub fn default_max_batch_size(&self, backend: &str) -> i32 {
        let of = |name: &str| self.default_max_batch_size.get(name).copied();
        of(backend).or_else(|| of("")).unwrap_or(4)
    }
}
