//! Checks all models of the repositories: first each config on its own, then ensembles against their models, then a start of the
//! server.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_core::{Finding, ModelCheck, Settings, Severity, check_model, dry_run, hint};
use hippocamp_files as files;
use hippocamp_model_config::{Fault, ModelConfig, Spans};
use hippocamp_repository::{advice, find, scan};

use crate::start::add_start_faults;
use crate::{CheckedModel, MissingEngine, Report, ensemble};

/// What a check includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Whether to try a start as well: open model files, create instances and warm them up.
    pub model_files: bool,
}

/// The state of a model's check. It is kept until all models are read, because ensembles refer to other models.
pub(crate) struct ExaminedModel {
    path: PathBuf,
    text: String,
    namespace: Option<String>,
    pub(crate) config_path: Option<PathBuf>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) config: Option<ModelConfig>,
    pub(crate) spans: Option<Spans>,
    pub(crate) versions: Vec<u64>,
}

impl ExaminedModel {
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Adds an error, unless the same message or an error of the same field was added before.
    pub(crate) fn add_error(&mut self, fault: Fault) {
        let is_same = |previous: &Finding| {
            previous.severity == Severity::Error
                && (previous.message == fault.message
                    || (!fault.path.is_empty() && previous.field == fault.path))
        };
        if !self.findings.iter().any(is_same) {
            self.findings.push(Finding::new(Severity::Error, fault, self.spans.as_ref()));
        }
    }
}

/// Checks every model. Reads the repositories, and may download remote ones; opens no port and stops whatever it
/// started.
pub fn check(settings: &Settings, backends: &[Arc<dyn Backend>], options: CheckOptions) -> Report {
    let found = scan(&settings.repositories, &settings.scan_options());
    let mut report = Report::default();
    // Warnings are about folders that the server ignores, too.
    let (ignored, faults): (Vec<_>, Vec<_>) = found.faults.iter().partition(|fault| fault.is_warning());
    report.repositories.extend(faults.iter().map(ToString::to_string));
    report.advice.extend(ignored.iter().map(ToString::to_string));
    report.advice.extend(advice(&settings.repositories, &found).iter().map(ToString::to_string));
    let mut examined: BTreeMap<String, ExaminedModel> = BTreeMap::new();
    for name in found.models.keys() {
        match examine(settings, backends, name) {
            Ok(model) => drop(examined.insert(name.clone(), model)),
            Err(fault) => report.repositories.push(fault),
        }
    }
    let names: Vec<&str> = found.models.keys().map(String::as_str).collect();
    check_steps(&mut examined, &names);
    if options.model_files {
        report.engines = missing_engines(backends, &examined);
        match dry_run(settings, backends) {
            Ok(faults) => add_start_faults(faults, &mut examined, &mut report),
            Err(error) => report.repositories.push(format!("the start could not be tried: {error}")),
        }
    }
    let backends: Vec<&str> = backends.iter().map(|backend| backend.name()).collect();
    report.models =
        examined.into_iter().map(|(name, model)| finished(name, model, &names, &backends)).collect();
    report
}

fn examine(settings: &Settings, backends: &[Arc<dyn Backend>], name: &str) -> Result<ExaminedModel, String> {
    let text = |fault: &dyn Display| fault.to_string();
    let found = find(&settings.repositories, name, &settings.scan_options()).map_err(|e| text(&e))?;
    let found = found.ok_or_else(|| format!("model '{name}' was removed while it was being checked"))?;
    let folder = &found.folder;
    let ModelCheck { findings, config, spans, versions } = check_model(settings, backends, folder);
    let config_path = folder.config_path.clone();
    let path = config_path.clone().unwrap_or_else(|| folder.path.clone());
    let text = config_path.as_ref().and_then(|path| files::read_text(path, files::TEXT_LIMIT).ok());
    let (text, namespace) = (text.unwrap_or_default(), folder.namespace.clone());
    Ok(ExaminedModel { path, text, namespace, config_path, findings, config, spans, versions })
}

/// Checks the steps of each ensemble against the configs of the models that they use.
fn check_steps(examined: &mut BTreeMap<String, ExaminedModel>, names: &[&str]) {
    let configs: BTreeMap<&str, &ModelConfig> =
        examined.iter().filter_map(|(name, model)| Some((name.as_str(), model.config.as_ref()?))).collect();
    let namespace = |name: &str| examined.get(name).and_then(|model| model.namespace.as_deref());
    let faults: Vec<(String, Vec<Fault>)> = configs
        .iter()
        .map(|(name, config)| {
            ((*name).to_owned(), ensemble::faults(name, config, names, &configs, &namespace))
        })
        .collect();
    for (name, faults) in faults {
        if let Some(model) = examined.get_mut(&name) {
            for fault in faults {
                model.add_error(fault);
            }
        }
    }
}

/// The backends that models need and that are not available on this machine.
fn missing_engines(
    backends: &[Arc<dyn Backend>],
    examined: &BTreeMap<String, ExaminedModel>,
) -> Vec<MissingEngine> {
    let engines = backends.iter().filter_map(|backend| {
        let is_of_it =
            |model: &&ExaminedModel| model.config.as_ref().is_some_and(|c| c.backend == backend.name());
        let models = examined.values().filter(is_of_it).count();
        let error = (models > 0).then(|| backend.available().err())??;
        let (backend, message) = (backend.name().to_owned(), error.message().to_owned());
        Some(MissingEngine { backend, message, models })
    });
    engines.collect()
}

fn finished(name: String, model: ExaminedModel, names: &[&str], backends: &[&str]) -> CheckedModel {
    let ExaminedModel { path, text, mut findings, .. } = model;
    findings.sort_by_key(|finding| (finding.severity, finding.line, finding.column));
    let hinted = findings.into_iter().map(|finding| {
        let hint = hint(&finding.kind, names, backends);
        (finding, hint)
    });
    CheckedModel { name, path, text, findings: hinted.collect() }
}

#[cfg(test)]
mod tests;
