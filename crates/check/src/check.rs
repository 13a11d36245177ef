//! Every model of the repositories, one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_core::{Finding, ModelCheck, Settings, Severity, check_model};
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::{ScanFault, find, scan};

use crate::{CheckedModel, Report, ensemble, hint};

/// How far a check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Whether model files are opened and compared with the configs, where their engine is there.
    pub model_files: bool,
}

/// A model between the two passes: ensembles are about the others, too.
struct Looked {
    model: CheckedModel,
    namespace: Option<String>,
    findings: Vec<Finding>,
    config: Option<ModelConfig>,
}

/// Looks at every model. Reads the repositories and may fetch what is remote, but loads and starts nothing.
pub fn check(settings: &Settings, backends: &[Arc<dyn Backend>], options: CheckOptions) -> Report {
    let found = scan(&settings.repositories, &settings.scan_options());
    let mut repositories: Vec<String> = Vec::new();
    for fault in &found.faults {
        // A folder that is no model's is passed over by a server, too.
        if !matches!(fault, ScanFault::Name { .. }) {
            repositories.push(fault.to_string());
        }
    }
    let mut looked: BTreeMap<String, Looked> = BTreeMap::new();
    for name in found.models.keys() {
        match look(settings, backends, name, options) {
            Ok(model) => drop(looked.insert(name.clone(), model)),
            Err(fault) => repositories.push(fault),
        }
    }
    let configs: BTreeMap<&str, &ModelConfig> =
        looked.iter().filter_map(|(name, model)| Some((name.as_str(), model.config.as_ref()?))).collect();
    let names: Vec<&str> = found.models.keys().map(String::as_str).collect();
    let steps: BTreeMap<String, Vec<(String, String)>> = configs
        .iter()
        .map(|(name, config)| {
            let namespace = |name: &str| looked.get(name).and_then(|model| model.namespace.as_deref());
            ((*name).to_owned(), ensemble::faults(name, config, &names, &configs, &namespace))
        })
        .collect();
    let backends: Vec<&str> = backends.iter().map(|backend| backend.name()).collect();
    let models = looked.into_iter().map(|(name, mut looked)| {
        for (field, message) in steps.get(&name).into_iter().flatten() {
            let finding = placed(&looked.model, field, message);
            looked.findings.push(finding);
        }
        looked.findings.sort_by_key(|finding| (finding.severity, finding.line, finding.column));
        let hinted = looked.findings.into_iter().map(|finding| {
            let hint = hint::of(&finding, &names, &backends);
            (finding, hint)
        });
        looked.model.findings = hinted.collect();
        looked.model
    });
    Report { repositories, models: models.collect() }
}

fn look(
    settings: &Settings,
    backends: &[Arc<dyn Backend>],
    name: &str,
    options: CheckOptions,
) -> Result<Looked, String> {
    let found = find(&settings.repositories, name, &settings.scan_options()).map_err(|e| e.to_string())?;
    let found = found.ok_or_else(|| format!("model '{name}' was removed while it was being checked"))?;
    let folder = &found.folder;
    let ModelCheck { findings, config } = check_model(settings, backends, folder, options.model_files);
    let path = folder.config_path.clone().unwrap_or_else(|| folder.path.clone());
    let text = folder.config_path.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let model = CheckedModel { name: name.to_owned(), path, text, findings: Vec::new() };
    Ok(Looked { model, namespace: folder.namespace.clone(), findings, config })
}

/// An error at a field of the model's config.
fn placed(model: &CheckedModel, field: &str, message: &str) -> Finding {
    let parsed = hippocamp_model_config::parse(&model.text, "").ok();
    let (line, column) = parsed.and_then(|parsed| parsed.spans.locate(field)).unwrap_or_default();
    Finding { severity: Severity::Error, line, column, field: field.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests;
