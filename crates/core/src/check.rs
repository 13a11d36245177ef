//! What a load would find wrong with a model: all of it at once, and nothing is started.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hippocamp_backend::{Backend, Code, Error, Model, ModelSource, Result};
use hippocamp_model_config::{self as model_config, Faults, Interface, ModelConfig, Spans};
use hippocamp_proto::inference::model_version_policy::PolicyChoice;
use hippocamp_proto::inference::model_warmup::input::InputDataType;
use hippocamp_repository::{ModelFolder, select_versions};

use crate::load::Loader;
use crate::supported::without_effect;
use crate::{Settings, agents, labels};

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
}

/// What was found, and the config as far as it could be read: finished, if nothing is wrong with it.
#[derive(Debug, Default)]
pub struct ModelCheck {
    pub findings: Vec<Finding>,
    pub config: Option<ModelConfig>,
}

/// Reads, validates and completes a model's config as a load would, and opens its model files, if `open` says so and
/// their engine is there.
pub fn check_model(
    settings: &Settings,
    backends: &[Arc<dyn Backend>],
    folder: &ModelFolder,
    open: bool,
) -> ModelCheck {
    let backends: BTreeMap<_, _> = backends.iter().map(|b| (b.name().to_owned(), Arc::clone(b))).collect();
    let loader = Loader { settings: settings.clone(), backends, cache: None, rate_limiter: None };
    let mut check = Check { loader: &loader, folder, spans: None, findings: Vec::new() };
    let config = check.run(open);
    ModelCheck { findings: check.findings, config }
}

struct Check<'a> {
    loader: &'a Loader,
    folder: &'a ModelFolder,
    spans: Option<Spans>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn run(&mut self, open: bool) -> Option<ModelConfig> {
        let name = &self.folder.folder_name;
        let mut config = self.read()?;
        if let Err(error) = Loader::infer_backend(self.folder, &mut config) {
            self.error("", error.message());
        }
        model_config::apply_defaults(&mut config, name, &model_config::DefaultFacts::default());
        if self.loader.settings.cpu_fallback {
            for group in model_config::fall_back_to_cpu(&mut config, &model_config::DefaultFacts::default()) {
                let what = format!("instance group '{group}' runs on the CPU, as its GPUs cannot be used");
                self.add(Severity::Warning, "instance_group", &what);
            }
        }
        let valid = model_config::validate_incomplete(&config, self.spans.as_ref(), "", name);
        self.faults(valid);
        if let Err(error) = agents::refuse_unknown(name, &config) {
            self.error("model_repository_agents", error.message());
        }
        for field in without_effect(&config) {
            self.add(Severity::Warning, field, "it has no effect in this version");
        }
        let versions = self.versions(&config);
        self.files(&config);
        if let Err(error) = agents::run(name, &self.folder.path, &config) {
            self.error("model_repository_agents", error.message());
        }
        let is_sound = !self.findings.iter().any(|finding| finding.severity == Severity::Error);
        if model_config::is_ensemble(&config) {
            let valid = model_config::validate(&config, self.spans.as_ref(), "", name);
            if is_sound {
                self.faults(valid);
            }
            return Some(config);
        }
        if !is_sound || !open {
            return Some(config);
        }
        // The latest completes the config, as in a load.
        for version in versions.into_iter().rev() {
            if !self.version(version, &mut config) {
                break;
            }
        }
        Some(config)
    }

    fn read(&mut self) -> Option<ModelConfig> {
        let Some(path) = &self.folder.config_path else { return Some(ModelConfig::default()) };
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) => {
                self.error("", &format!("failed to read '{}': {e}", path.display()));
                return None;
            }
        };
        match model_config::parse(&text, "") {
            Ok(parsed) => {
                self.spans = Some(parsed.spans);
                Some(parsed.config)
            }
            Err(faults) => {
                self.faults(Err(faults));
                None
            }
        }
    }

    /// The versions that would be loaded.
    fn versions(&mut self, config: &ModelConfig) -> Vec<u64> {
        let there = &self.folder.versions;
        let policy = config.version_policy.as_ref();
        if let Some(PolicyChoice::Specific(specific)) = policy.and_then(|p| p.policy_choice.as_ref()) {
            for (index, version) in specific.versions.iter().enumerate() {
                if !u64::try_from(*version).is_ok_and(|version| there.contains(&version)) {
                    let field = format!("version_policy.specific.versions[{index}]");
                    self.add(Severity::Warning, &field, &format!("there is no folder for version {version}"));
                }
            }
        }
        let mut there = there.clone();
        if there.is_empty() && model_config::is_ensemble(config) {
            // As in a load: version control keeps no empty folders.
            there.insert(1);
        }
        let selected = select_versions(&there, policy);
        if selected.is_empty() {
            let message = "at least one version must be available under the version policy";
            self.error("version_policy", message);
        }
        selected.into_iter().collect()
    }

    /// Files beside the model files that the config names.
    fn files(&mut self, config: &ModelConfig) {
        for (index, output) in config.output.iter().enumerate() {
            let path = self.folder.path.join(&output.label_filename);
            if !output.label_filename.is_empty() && !path.is_file() {
                let field = format!("output[{index}].label_filename");
                self.error(&field, &format!("there is no label file '{}'", path.display()));
            }
        }
        for (index, warmup) in config.model_warmup.iter().enumerate() {
            for (name, input) in &warmup.inputs {
                let Some(InputDataType::InputDataFile(file)) = &input.input_data_type else { continue };
                let path = self.folder.path.join("warmup").join(file);
                if !path.is_file() {
                    let field = format!("model_warmup[{index}].inputs[\"{name}\"].input_data_file");
                    self.error(&field, &format!("there is no warm-up file '{}'", path.display()));
                }
            }
        }
    }

    /// Opens one version and compares it with the config. Whether the next one can be expected to open, too.
    fn version(&mut self, version: u64, config: &mut ModelConfig) -> bool {
        let opened = catch_unwind(AssertUnwindSafe(|| self.open(version, config)));
        let panicked = |_| Err(Error::internal("the backend panicked while loading the model"));
        match opened.unwrap_or_else(panicked) {
            Ok(()) => true,
            Err(error) if error.code() == Code::Unavailable => {
                let message = format!("its model file was not looked into: {}", error.message());
                self.add(Severity::Warning, "", &message);
                false
            }
            Err(error) => {
                for line in error.message().split("; ") {
                    let field = field_of(line, config);
                    self.error(&field, &format!("version {version}: {line}"));
                }
                true
            }
        }
    }

    fn open(&mut self, version: u64, config: &mut ModelConfig) -> Result<()> {
        let name: Arc<str> = self.folder.folder_name.as_str().into();
        let model = self.loader.backend(&name, config)?.load(&ModelSource {
            name: Arc::clone(&name),
            version,
            model_directory: self.folder.path.clone(),
            version_directory: self.folder.version_path(version),
            config: Arc::new(config.clone()),
        })?;
        let interface = self.complete(&*model, config);
        let Some(interface) = interface? else { return Ok(()) };
        model.check_config(config)?;
        labels::read(&name, &self.folder.path, &interface).map(drop)
    }

    /// Finishes the config. `None` if that was found to be impossible.
    fn complete(&mut self, model: &dyn Model, config: &mut ModelConfig) -> Result<Option<Interface>> {
        let (name, settings) = (&self.folder.folder_name, &self.loader.settings);
        if !settings.disable_auto_complete_config {
            let default_max_batch_size = settings.default_max_batch_size(&config.backend);
            model.complete_config(config, default_max_batch_size)?;
        }
        let facts = model_config::DefaultFacts::default();
        model_config::apply_defaults(config, name, &facts);
        let before = self.findings.len();
        let valid = model_config::validate(config, self.spans.as_ref(), "", name);
        self.faults(valid);
        let placed = model_config::validate_placement(config, self.spans.as_ref(), "", &facts);
        self.faults(placed);
        let interface = Interface::new(config);
        if self.findings.len() > before {
            return Ok(None);
        }
        match interface {
            Ok(interface) => Ok(Some(interface)),
            Err(faults) => {
                self.faults(Err(faults));
                Ok(None)
            }
        }
    }

    fn faults(&mut self, result: Result<(), Faults>) {
        for fault in result.err().into_iter().flat_map(|faults| faults.faults) {
            self.findings.push(Finding {
                severity: Severity::Error,
                line: fault.line,
                column: fault.column,
                field: fault.path,
                message: fault.message,
            });
        }
    }

    fn error(&mut self, field: &str, message: &str) {
        self.add(Severity::Error, field, message);
    }

    fn add(&mut self, severity: Severity, field: &str, message: &str) {
        let place = self.spans.as_ref().and_then(|spans| spans.locate(field));
        let (line, column) = place.unwrap_or_default();
        self.findings.push(Finding {
            severity,
            line,
            column,
            field: field.to_owned(),
            message: message.to_owned(),
        });
    }
}

/// The field that a backend's message is about, as far as it names a tensor of the config.
fn field_of(message: &str, config: &ModelConfig) -> String {
    let quoted: Vec<&str> = message.split('\'').skip(1).step_by(2).collect();
    let part = if message.contains("datatype") {
        ".data_type"
    } else if message.contains("shape") || message.contains("dimension") {
        ".dims"
    } else {
        ""
    };
    let input = config.input.iter().position(|tensor| quoted.contains(&tensor.name.as_str()));
    let output = config.output.iter().position(|tensor| quoted.contains(&tensor.name.as_str()));
    match (input, output) {
        (Some(index), _) => format!("input[{index}]{part}"),
        (None, Some(index)) => format!("output[{index}]{part}"),
        (None, None) => String::new(),
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
    let model = backend.load(&ModelSource {
        name: name.into(),
        version: 1,
        model_directory: folder.clone(),
        version_directory: folder,
        config: Arc::new(config.clone()),
    })?;
    model.complete_config(&mut config, settings.default_max_batch_size(backend.name()))?;
    model.check_config(&config)?;
    Ok(config)
}
