//! What a load would find wrong with a model. First all that can be told without its engine, at once; then what a start of
//! the server really meets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{Backend, Error, ModelDirectories, ModelSource, Result};
use hippocamp_model_config::{self as model_config, Fault, FaultKind, Faults, ModelConfig, Spans};
use hippocamp_proto::inference::model_version_policy::PolicyChoice;
use hippocamp_repository::ModelFolder;

use crate::faults::faults_of;
use crate::load::Loader;
use crate::prepare::{Written, infer_backend, selected};
use crate::supported::without_effect;
use crate::{InferenceServer, Settings, StartFault, agents, initial_state, labels, model_file, warmup};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The model would not load.
    Error,
    /// It would, but not all that was written has an effect, or not all could be checked.
    Warning,
}

/// One thing that is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// In the config's text, counted from 1; 0 where the text has no place for it.
    pub line: u32,
    pub column: u32,
    /// The config's field; empty if it is about none.
    pub field: String,
    pub message: String,
    pub kind: FaultKind,
}

impl Finding {
    /// The fault, at its place in the text that these spans are of.
    pub fn new(severity: Severity, fault: Fault, spans: Option<&Spans>) -> Finding {
        let Fault { mut line, mut column, path, message, kind } = fault;
        if line == 0 {
            (line, column) = spans.and_then(|spans| spans.locate(&path)).unwrap_or_default();
        }
        Finding { severity, line, column, field: path, message, kind }
    }
}

/// What was found, and the config as far as it could be read.
#[derive(Debug, Default)]
pub struct ModelCheck {
    pub findings: Vec<Finding>,
    /// With defaults, not completed from a model file.
    pub config: Option<ModelConfig>,
    /// Of the config's text.
    pub spans: Option<Spans>,
    /// The versions that would be loaded.
    pub versions: Vec<u64>,
}

/// How long instances may take to end after a dry run.
const ENDING: Duration = Duration::from_secs(30);

/// Takes the steps of a start, without a port: every model is loaded with its instances, warm-up and all, and let go.
/// Returns what would keep the server from starting.
pub fn dry_run(settings: &Settings, backends: &[Arc<dyn Backend>]) -> io::Result<Vec<StartFault>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = InferenceServer::new(settings.clone(), backends.to_vec());
    let faults = runtime.block_on(server.start_models());
    runtime.block_on(server.stop(ENDING));
    Ok(faults)
}

/// Reads and validates a model's config as a load would, and looks whether the files are there that it names. Opens no model
/// file.
pub fn check_model(settings: &Settings, backends: &[Arc<dyn Backend>], folder: &ModelFolder) -> ModelCheck {
    let loader = Loader::new(settings.clone(), backends.iter().cloned().collect(), None, None);
    let mut check = Check { loader: &loader, folder, found: ModelCheck::default() };
    check.found.config = check.run();
    check.found
}

struct Check<'a> {
    loader: &'a Loader,
    folder: &'a ModelFolder,
    found: ModelCheck,
}

impl Check<'_> {
    fn run(&mut self) -> Option<ModelConfig> {
        let written = Written::read(self.folder.config_path.as_deref(), None);
        let Written { mut config, spans, .. } = self.step(written)?;
        self.found.spans = spans;
        let inferred = infer_backend(self.folder, &mut config, &self.loader.facts);
        self.step(inferred);
        let facts = &self.loader.facts;
        model_config::apply_defaults(&mut config, &self.folder.folder_name, facts);
        if self.loader.settings.cpu_fallback {
            for group in model_config::fall_back_to_cpu(&mut config, facts) {
                let what = format!("instance group '{group}' runs on the CPU, as its GPUs cannot be used");
                self.warn("instance_group", what, FaultKind::NoEffect);
            }
        }
        self.validate(&config);
        for field in without_effect(&config) {
            self.warn(field, "it has no effect in this version".to_owned(), FaultKind::NoEffect);
        }
        self.versions(&config);
        self.files(&config);
        let agents = agents::run(&self.folder.name, &self.folder.path, &config);
        self.step(agents);
        Some(config)
    }

    fn validate(&mut self, config: &ModelConfig) {
        let name = &self.folder.folder_name;
        let is_ensemble = model_config::is_ensemble(config);
        let backend = self.loader.backends.facts(&config.backend);
        let stays = is_ensemble
            || self.loader.settings.disable_auto_complete_config
            || backend.is_some_and(|backend| !backend.completes_configs);
        let rules = if stays { model_config::validate } else { model_config::validate_incomplete };
        let valid = rules(config, self.found.spans.as_ref(), "", name);
        self.faults(valid);
        let known = agents::refuse_unknown(&self.folder.name, config);
        self.step(known);
        if is_ensemble {
            return;
        }
        let placed = self.loader.check_placement(config);
        self.step(placed);
        if !config.backend.is_empty() {
            let directories = ModelDirectories { version: None, model: &self.folder.path };
            let backend = self.loader.backend(&self.folder.name, config, directories).map(drop);
            self.step(backend);
        }
    }

    fn versions(&mut self, config: &ModelConfig) {
        let policy = config.version_policy.as_ref();
        if let Some(PolicyChoice::Specific(specific)) = policy.and_then(|p| p.policy_choice.as_ref()) {
            for (index, version) in specific.versions.iter().enumerate() {
                if !u64::try_from(*version).is_ok_and(|version| self.folder.versions.contains(&version)) {
                    let field = format!("version_policy.specific.versions[{index}]");
                    let message = format!("there is no folder for version {version}");
                    self.warn(&field, message, FaultKind::VersionMissing);
                }
            }
        }
        let versions = selected(self.folder, config);
        self.found.versions = self.step(versions).unwrap_or_default();
    }

    /// Files beside the model files that the config names. Where a name itself is at fault, nobody looks behind it.
    fn files(&mut self, config: &ModelConfig) {
        let (name, path) = (self.folder.name.clone(), self.folder.path.clone());
        let mut errors: Vec<Error> = Vec::new();
        for (index, output) in config.output.iter().enumerate() {
            let (file, is_named) = (&output.label_filename, !output.label_filename.is_empty());
            if is_named && !self.is_told(&format!("output[{index}].label_filename")) {
                errors.extend(labels::read_file(&name, &path, index, &output.name, file).err());
            }
        }
        errors.extend(warmup::open_files(config, &path));
        for (field, file) in initial_state::named(config) {
            if !self.is_told(&field) {
                errors.extend(initial_state::open(&name, &path, config, file).err());
            }
        }
        for error in errors {
            self.error(&error);
        }
    }

    fn is_told(&self, field: &str) -> bool {
        self.found.findings.iter().any(|finding| finding.field == field)
    }

    /// What a step gave; `None` if it failed.
    fn step<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.error(&error)).ok()
    }

    fn error(&mut self, error: &Error) {
        for fault in faults_of(error, self.folder.config_path.as_deref()) {
            self.add(Severity::Error, fault);
        }
    }

    fn faults(&mut self, result: Result<(), Faults>) {
        for fault in result.err().into_iter().flat_map(|faults| faults.faults) {
            self.add(Severity::Error, fault);
        }
    }

    fn warn(&mut self, field: &str, message: String, kind: FaultKind) {
        self.add(Severity::Warning, Fault::new(field, message, kind));
    }

    fn add(&mut self, severity: Severity, fault: Fault) {
        let finding = Finding::new(severity, fault, self.found.spans.as_ref());
        self.found.findings.push(finding);
    }
}

/// A config for a model file that has none: what the file tells, nothing of this machine.
pub fn describe(
    settings: &Settings,
    backend: &Arc<dyn Backend>,
    name: &str,
    file: &Path,
) -> Result<ModelConfig> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    let filename = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut config = ModelConfig {
        backend: backend.name().to_owned(),
        default_model_filename: filename,
        ..ModelConfig::default()
    };
    let loaded = backend.load(&ModelSource {
        name: name.into(),
        version: 1,
        model_directory: folder.clone(),
        version_directory: folder.clone(),
        config: Arc::new(config.clone()),
    });
    let model = loaded.map_err(|error| model_file::explained(error, &folder, &config))?;
    model.complete_config(&mut config, settings.default_max_batch_size(backend.name()))?;
    model.check_config(&config)?;
    Ok(config)
}
