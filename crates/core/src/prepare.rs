//! From a model's folder to a config that is usable as far as that can be told without the model file.

use std::fs;
use std::path::Path;

use hippocamp_backend::{Error, Result};
use hippocamp_files as files;
use hippocamp_model_config::{self as model_config, DefaultFacts, FaultKind, ModelConfig, Spans};
use hippocamp_repository::{ModelFolder, select_versions};

use crate::agents;
use crate::faults::{Collected, about};
use crate::load::bad_config;
use crate::supported::refuse_libraries;

/// A config that was read and found usable, and what it selects.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) folder: ModelFolder,
    pub(crate) config: ModelConfig,
    pub(crate) versions: Vec<u64>,
}

/// Reads and checks the config, without touching the model files. `json` replaces the config on disk.
pub(crate) fn prepare(folder: ModelFolder, json: Option<&str>, facts: &DefaultFacts) -> Result<Prepared> {
    let name = folder.folder_name.clone();
    let Written { origin, mut config, spans } = Written::read(folder.config_path.as_deref(), json)?;
    infer_backend(&folder, &mut config, facts)?;
    model_config::apply_defaults(&mut config, &name, facts);
    let valid = model_config::validate_incomplete(&config, spans.as_ref(), &origin, &name);
    let mut faults = Collected::default();
    faults.take(valid.map_err(bad_config));
    faults.take(agents::refuse_unknown(&name, &config));
    if json.is_some() {
        faults.take(refuse_libraries(&name, &config));
    }
    let versions = faults.take(selected(&folder, &config));
    faults.into_result()?;
    let versions = versions.unwrap_or_default();
    Ok(Prepared { folder, config, versions })
}

/// Fills in the backend of a config that names none, from the model file that is there.
pub(crate) fn infer_backend(
    folder: &ModelFolder,
    config: &mut ModelConfig,
    facts: &DefaultFacts,
) -> Result<()> {
    let Some(&latest) = folder.versions.last() else { return Ok(()) };
    let entries = fs::read_dir(folder.version_path(latest)).map_err(|e| {
        let name = &folder.name;
        Error::internal(format!("failed to read version {latest} of model '{name}': {e}")).with_source(e)
    })?;
    let files: Vec<String> =
        entries.filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned())).collect();
    model_config::infer_backend(config, &folder.name, &files, facts);
    Ok(())
}

/// The versions that the config selects, lowest first; at least one.
pub(crate) fn selected(folder: &ModelFolder, config: &ModelConfig) -> Result<Vec<u64>> {
    let mut available = folder.versions.clone();
    if available.is_empty() && model_config::is_ensemble(config) {
        // There is nothing to put into its version folder, and version control keeps no empty ones.
        available.insert(1);
    }
    let versions = select_versions(&available, config.version_policy.as_ref());
    if versions.is_empty() {
        return Err(no_version(folder, config));
    }
    Ok(versions.into_iter().collect())
}

#[cold]
fn no_version(folder: &ModelFolder, config: &ModelConfig) -> Error {
    let file = Some(config.default_model_filename.as_str()).filter(|name| !name.is_empty());
    let fix = match file.filter(|name| folder.path.join(name).is_file()) {
        _ if !folder.versions.is_empty() => {
            let there: Vec<String> = folder.versions.iter().map(u64::to_string).collect();
            format!("widen the policy, there are the versions {}", there.join(", "))
        }
        Some(name) => {
            format!("'{name}' lies in the model's folder: make a folder '1' there and move it into that")
        }
        None => "make a folder '1' with the model file in it".to_owned(),
    };
    let name = &folder.name;
    let error = Error::invalid_arg(format!(
        "at least one version must be available under the version policy of model '{name}'; {fix}"
    ));
    about(error, "version_policy", FaultKind::NoVersion)
}

/// A config as somebody wrote it.
#[derive(Debug)]
pub(crate) struct Written {
    /// What it is called in messages.
    pub(crate) origin: String,
    pub(crate) config: ModelConfig,
    pub(crate) spans: Option<Spans>,
}

impl Written {
    /// `json` instead of the file at `path`, if both are there.
    pub(crate) fn read(path: Option<&Path>, json: Option<&str>) -> Result<Written> {
        match (json, path) {
            (Some(json), _) => {
                let config = model_config::from_json(json).map_err(bad_config)?;
                Ok(Written { origin: "config".to_owned(), config, spans: None })
            }
            (None, Some(path)) => {
                let origin = path.display().to_string();
                let text = files::read_text(path, files::TEXT_LIMIT)
                    .map_err(|e| Error::internal(format!("failed to read '{origin}': {e}")).with_source(e))?;
                let parsed = model_config::parse(&text, &origin).map_err(bad_config)?;
                Ok(Written { origin, config: parsed.config, spans: Some(parsed.spans) })
            }
            (None, None) => {
                Ok(Written { origin: "config".to_owned(), config: ModelConfig::default(), spans: None })
            }
        }
    }
}
