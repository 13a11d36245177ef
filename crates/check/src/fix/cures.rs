//! Which edits of a config cure which faults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_core::{Finding, Severity, meant};
use hippocamp_model_config::{
    Edit, FaultKind, ModelConfig, edited, ensemble_scheduling, parse, written_values,
};

use super::{Change, plans};
use crate::{CheckedModel, Report};

/// What is needed to know of a repository to cure its models.
pub(super) struct Cures<'a> {
    report: &'a Report,
    models: Vec<&'a str>,
    backends: Vec<&'a str>,
    /// The models that ensembles are made of, as their steps name them.
    steps: BTreeSet<String>,
}

impl<'a> Cures<'a> {
    pub(super) fn new(report: &'a Report, backends: &'a [Arc<dyn Backend>]) -> Cures<'a> {
        let configs = report.models.iter().filter_map(|model| Some(parse(&model.text, "").ok()?.config));
        let steps = configs.flat_map(|config| {
            let ensemble = ensemble_scheduling(&config);
            ensemble.iter().flat_map(|e| &e.step).map(|step| step.model_name.clone()).collect::<Vec<_>>()
        });
        Cures {
            report,
            models: report.models.iter().map(|model| model.name.as_str()).collect(),
            backends: backends.iter().map(|backend| backend.name()).collect(),
            steps: steps.collect(),
        }
    }

    /// Why the engine of a model cannot be used on this machine, if it cannot.
    pub(super) fn missing_engine(&self, model: &CheckedModel) -> Option<String> {
        if self.report.engines.is_empty() {
            return None;
        }
        let config = parse(&model.text, "").ok()?.config;
        let engine = self.report.engines.iter().find(|engine| plans::is_of(&config, &engine.backend))?;
        Some(engine.message.clone())
    }

    /// Adds the cures of a model's errors to what is to become of its folder. Returns whether there were any.
    pub(super) fn add(&self, model: &CheckedModel, folder: &Path, change: &mut Change) -> bool {
        let config = parse(&change.after, "").ok().map(|parsed| parsed.config);
        let engine = self.missing_engine(model);
        let errors = || model.findings.iter().map(|(f, _)| f).filter(|f| f.severity == Severity::Error);
        let mut edits = Vec::new();
        if let Some(config) = &config
            && (engine.is_some() || errors().any(|finding| plans::has_no_gpu(config, finding)))
        {
            edits = plans::as_onnx(config, folder);
        }
        if edits.is_empty() {
            edits = errors().flat_map(|finding| self.cure(finding, config.as_ref(), change)).collect();
        }
        let moves: Vec<_> = errors().filter_map(|finding| misplaced(finding, folder)).flatten().collect();
        let moves_more = moves.iter().any(|one| !change.moves.contains(one));
        if moves_more {
            change.moves = moves;
        }
        let after = applied(&change.after, &edits);
        let is_changed = after != change.after;
        change.after = after;
        is_changed || moves_more
    }

    fn cure(&self, finding: &Finding, config: Option<&ModelConfig>, change: &Change) -> Vec<Edit> {
        let field = finding.field.as_str();
        let (line, column) = (finding.line, finding.column);
        let meant = || meant(&finding.kind, &self.models, &self.backends);
        let one = |edit: Option<Edit>| edit.into_iter().collect::<Vec<_>>();
        match &finding.kind {
            FaultKind::UnknownField { written, .. } => {
                let from = written.clone();
                one(meant().map(|to| Edit::Rename { line, column, from, to }))
            }
            FaultKind::UnknownValue { .. } => one(meant().map(|value| set(field, value))),
            FaultKind::UnknownBackend { .. } | FaultKind::UnknownPlatform { .. } => {
                one(meant().map(|name| set(field, format!("\"{name}\""))))
            }
            FaultKind::GivenTwice => {
                let mut values = written_values(&change.after, field);
                values.dedup();
                // Which of several is meant, nobody knows.
                one((values.len() == 1).then(|| values.pop().map(|value| set(field, value))).flatten())
            }
            FaultKind::NameDiffers => {
                let name = config.map(|config| config.name.as_str()).unwrap_or_default();
                let is_wanted = self.steps.contains(name);
                one((!is_wanted).then(|| remove("name")))
            }
            FaultKind::DataTypeDiffers { provided } => vec![set(field, (*provided).to_owned())],
            FaultKind::DimsDiffer { provided } => config.map_or_else(Vec::new, |c| dims(c, field, provided)),
            FaultKind::ReshapeDiffers | FaultKind::Superfluous => vec![remove(field)],
            FaultKind::NotBatching => vec![set("max_batch_size", "0".to_owned())],
            FaultKind::Expected { value, .. } => vec![set(field, value.clone())],
            FaultKind::NoGpu { usable } => config.map_or_else(Vec::new, |c| gpus(c, field, usable)),
            // Of unknown models, too: their names differ by design in a letter or a number, and which one is meant, nobody knows.
            _ => Vec::new(),
        }
    }
}

pub(super) fn set(path: &str, value: String) -> Edit {
    Edit::Set { path: path.to_owned(), value }
}

pub(super) fn remove(path: &str) -> Edit {
    Edit::Remove { path: path.to_owned() }
}

/// The text with as many of the edits as have a place of their own.
fn applied(text: &str, edits: &[Edit]) -> String {
    let (mut taken, mut after) = (Vec::new(), text.to_owned());
    for edit in edits.iter().filter(|edit| !matches!(edit, Edit::Remove { path } if path.is_empty())) {
        taken.push(edit.clone());
        match edited(text, &taken) {
            Some(text) => after = text,
            None => drop(taken.pop()),
        }
    }
    after
}

/// The list and the number that a path such as `input[0].dims` begins with.
fn element(path: &str) -> Option<(&str, usize)> {
    let (list, rest) = path.split_once('[')?;
    Some((list, rest.split_once(']')?.0.parse().ok()?))
}

/// Dims that the model has. Where those of the config differ by dimensions of 1 alone, clients keep theirs, and a reshape leads
/// from the one to the other: the batch of TensorRT Inference Server's configs is such a dimension.
fn dims(config: &ModelConfig, field: &str, provided: &[i64]) -> Vec<Edit> {
    let Some((list, index)) = element(field) else { return Vec::new() };
    let (dims, has_reshape) = match list {
        "input" => config.input.get(index).map(|input| (&input.dims, input.reshape.is_some())),
        "output" => config.output.get(index).map(|output| (&output.dims, output.reshape.is_some())),
        _ => None,
    }
    .unzip();
    let (Some(dims), Some(has_reshape)) = (dims, has_reshape) else { return Vec::new() };
    let without_ones = |dims: &[i64]| dims.iter().copied().filter(|dim| *dim != 1).collect::<Vec<_>>();
    let path = format!("{list}[{index}].reshape");
    let mut edits = Vec::new();
    if dims.as_slice() == provided && has_reshape {
        edits.push(remove(&path));
    } else if without_ones(dims) == without_ones(provided) {
        edits.push(set(&path, format!("{{ shape: {provided:?} }}")));
    } else {
        edits.push(set(&format!("{list}[{index}].dims"), format!("{provided:?}")));
        edits.extend(has_reshape.then(|| remove(&path)));
    }
    edits
}

/// GPUs that are there, or the CPU.
fn gpus(config: &ModelConfig, field: &str, usable: &[i32]) -> Vec<Edit> {
    let group = element(field).and_then(|(_, index)| Some((index, config.instance_group.get(index)?)));
    let Some((index, group)) = group else { return Vec::new() };
    let path = |name: &str| format!("instance_group[{index}].{name}");
    if usable.is_empty() {
        let mut edits = vec![set(&path("kind"), "KIND_CPU".to_owned())];
        edits.extend((!group.gpus.is_empty()).then(|| remove(&path("gpus"))));
        return edits;
    }
    let there: Vec<i32> = group.gpus.iter().copied().filter(|gpu| usable.contains(gpu)).collect();
    // None of those that it names: as many others.
    let others = &usable[..usable.len().min(group.gpus.len())];
    vec![set(&path("gpus"), format!("{:?}", if there.is_empty() { others } else { &there }))]
}

/// A model file that lies beside the config, with what belongs to it, to be moved into the folder of version 1.
fn misplaced(finding: &Finding, folder: &Path) -> Option<Vec<(PathBuf, PathBuf)>> {
    let FaultKind::NoVersion { misplaced: Some(file) } = &finding.kind else { return None };
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Weights beside a model are named after it: model.onnx.data.
    let of_model = names.filter(|name| name == file || name.starts_with(&format!("{file}.")));
    let mut moves: Vec<_> = of_model.map(|name| (PathBuf::from(&name), Path::new("1").join(&name))).collect();
    moves.sort();
    Some(moves)
}
