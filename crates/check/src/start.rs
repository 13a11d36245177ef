//! Adds the faults of a start of the server to the findings, each once, at its model and field.

use std::collections::BTreeMap;

use hippocamp_backend::{Code, Error};
use hippocamp_core::{Severity, StartFault, faults_of};
use hippocamp_model_config::{Fault, FaultKind};

use crate::check::Looked;
use crate::{MissingEngine, Report};

/// Adds the faults of the start that were not reported yet. The errors of a model that the start loaded become warnings.
pub(crate) fn told_of_start(
    faults: Vec<StartFault>,
    looked: &mut BTreeMap<String, Looked>,
    report: &mut Report,
) {
    demote(&faults, looked);
    let mut composing = Vec::new();
    for fault in &faults {
        let model = fault.model.as_ref().and_then(|name| Some((name, looked.get_mut(name)?)));
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
    // An ensemble that lacks a model has no fault of its own if the model has one.
    for (name, fault) in composing {
        let FaultKind::Composing { model } = &fault.kind else { continue };
        let is_told = looked
            .get(model)
            .is_some_and(|model| model.has_errors() || engine_of(model, &report.engines).is_some());
        if let Some(ensemble) = looked.get_mut(&name).filter(|_| !is_told) {
            ensemble.add_error(fault);
        }
    }
    // A check never passes if the start failed.
    let is_told = !report.repositories.is_empty() || !report.engines.is_empty();
    if !is_told && !looked.values().any(Looked::has_errors) {
        report.repositories.extend(faults.into_iter().map(|fault| fault.message));
    }
}

/// Makes warnings of what is told of models that the start has loaded.
fn demote(faults: &[StartFault], looked: &mut BTreeMap<String, Looked>) {
    for (name, model) in looked.iter_mut() {
        if !faults.iter().any(|fault| fault.model.as_ref() == Some(name)) {
            model.findings.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        }
    }
}

/// The faults of a model's versions, each once; with the version if not all of those that were to be loaded have it. Those
/// that come of a missing engine are left out.
fn distinct(
    errors: &[(Option<u64>, Error)],
    model: &Looked,
    engines: &[MissingEngine],
) -> Vec<(Fault, Option<u64>)> {
    let mut faults: Vec<(Fault, Vec<u64>)> = Vec::new();
    let without_engine = engine_of(model, engines).is_some();
    for (version, error) in errors {
        if without_engine && error.code() == Code::Unavailable {
            continue;
        }
        for fault in faults_of(error, model.config_path.as_deref()) {
            match faults.iter_mut().find(|(told, _)| told == &fault) {
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

fn engine_of<'e>(model: &Looked, engines: &'e [MissingEngine]) -> Option<&'e MissingEngine> {
    let backend = &model.config.as_ref()?.backend;
    engines.iter().find(|engine| engine.backend == *backend)
}
