//! Turns the faults of a trial start into findings: each fault once, with its model and field.

use std::collections::BTreeMap;

use hippocamp_backend::{Code, Error};
use hippocamp_core::{Severity, StartFault, faults_of};
use hippocamp_model_config::{Fault, FaultKind};

use crate::check::ExaminedModel;
use crate::{MissingEngine, Report};

/// Adds the faults of the trial start that were not found before. The findings of models that did load become warnings.
pub(crate) fn add_start_faults(
    faults: Vec<StartFault>,
    examined: &mut BTreeMap<String, ExaminedModel>,
    report: &mut Report,
) {
    demote(&faults, examined);
    let mut composing = Vec::new();
    for fault in &faults {
        let model = fault.model.as_ref().and_then(|name| Some((name, examined.get_mut(name)?)));
        let Some((name, model)) = model else {
            if !report.repositories.contains(&fault.message) {
                report.repositories.push(fault.message.clone());
            }
            continue;
        };
        for (fault, version) in distinct(&fault.errors, model, &report.engines) {
            match fault.kind {
                FaultKind::Composing { .. } => composing.push((name.clone(), fault)),
                _ => model.add_error(with_version(fault, version)),
            }
        }
    }
    // If a composing model has errors of its own, they are enough: its ensemble does not report it as missing.
    for (name, fault) in composing {
        let FaultKind::Composing { model } = &fault.kind else { continue };
        let is_reported = examined
            .get(model)
            .is_some_and(|model| model.has_errors() || engine_of(model, &report.engines).is_some());
        if let Some(ensemble) = examined.get_mut(&name).filter(|_| !is_reported) {
            ensemble.add_error(fault);
        }
    }
    // A start that failed must never pass the check, even if no fault became a finding.
    let is_reported = !report.repositories.is_empty() || !report.engines.is_empty();
    if !is_reported && !examined.values().any(ExaminedModel::has_errors) {
        report.repositories.extend(faults.into_iter().map(|fault| fault.message));
    }
}

/// Turns the findings of models that did load into warnings.
fn demote(faults: &[StartFault], examined: &mut BTreeMap<String, ExaminedModel>) {
    for (name, model) in examined.iter_mut() {
        if !faults.iter().any(|fault| fault.model.as_ref() == Some(name)) {
            model.findings.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        }
    }
}

/// The faults of a model, each once, with the version if not every version has the fault. Leaves out faults that come
/// from a missing engine.
fn distinct(
    errors: &[(Option<u64>, Error)],
    model: &ExaminedModel,
    engines: &[MissingEngine],
) -> Vec<(Fault, Option<u64>)> {
    let mut faults: Vec<(Fault, Vec<u64>)> = Vec::new();
    let without_engine = engine_of(model, engines).is_some();
    for (version, error) in errors {
        if without_engine && error.code() == Code::Unavailable {
            continue;
        }
        for fault in faults_of(error, model.config_path.as_deref()) {
            match faults.iter_mut().find(|(previous, _)| previous == &fault) {
                Some((_, versions)) => versions.extend(version),
                None => faults.push((fault, version.iter().copied().collect())),
            }
        }
    }
    let named = faults.into_iter().map(|(fault, versions)| {
        let version = versions.first().filter(|_| versions.len() < model.versions.len()).copied();
        (fault, version)
    });
    named.collect()
}

fn with_version(fault: Fault, version: Option<u64>) -> Fault {
    match version {
        Some(version) => Fault { message: format!("version {version}: {}", fault.message), ..fault },
        None => fault,
    }
}

fn engine_of<'e>(model: &ExaminedModel, engines: &'e [MissingEngine]) -> Option<&'e MissingEngine> {
    let backend = &model.config.as_ref()?.backend;
    engines.iter().find(|engine| engine.backend == *backend)
}
