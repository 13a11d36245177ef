//! The one list of steps that lead from a model's folder to the point where its model files are opened.
//!
//! A load runs all of `CONFIG` and reports all faults together, then runs `REQUIREMENTS` until the first fault; after that
//! it opens the model file of each version. A check runs all steps of both lists and reports every fault.

use std::fs;

use hippocamp_backend::{Error, ModelDirectories};
use hippocamp_model_config::{self as model_config, BATCH_STRATEGY, FaultKind, Moved};
use hippocamp_proto::inference::model_version_policy::PolicyChoice;

use crate::faults::bad_config;
use crate::preparation::Preparation;
use crate::supported::{refuse_libraries, without_effect};
use crate::versions::selected;
use crate::written::Written;
use crate::{agents, initial_state, labels, warmup};

/// One step. It adds the faults that it finds to the report of the preparation.
#[derive(Debug)]
pub(crate) struct Step(pub(crate) fn(&mut Preparation<'_>));

/// The steps that read the config, fill in the defaults, and check what can be checked with the config alone.
pub(crate) const CONFIG: [Step; 7] = [
    Step(read_config),
    Step(infer_backend),
    Step(apply_defaults),
    Step(validate),
    Step(know_agents),
    Step(refuse_foreign_libraries),
    Step(select_versions),
];

/// The steps that check what the config refers to: backend, devices, and files in the model's folder.
pub(crate) const REQUIREMENTS: [Step; 8] = [
    Step(fall_back_to_cpu),
    Step(warn_of_no_effect),
    Step(require_completeness),
    Step(require_backend),
    Step(require_placement),
    Step(read_labels),
    Step(require_files),
    Step(run_agents),
];

fn read_config(model: &mut Preparation<'_>) {
    let read = Written::read(model.folder.config_path.as_deref(), model.json);
    match model.report.take(read) {
        Some(written) => model.written = written,
        None => model.is_over = true,
    }
}

/// Infers the backend from the name of the model file if the config names no backend.
fn infer_backend(model: &mut Preparation<'_>) {
    let folder = model.folder;
    let Some(&latest) = folder.versions.last() else { return };
    let entries = fs::read_dir(folder.version_path(latest)).map_err(|e| {
        let name = &folder.name;
        Error::internal(format!("failed to read version {latest} of model '{name}': {e}")).with_source(e)
    });
    let Some(entries) = model.report.take(entries) else { return };
    let files: Vec<String> =
        entries.filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned())).collect();
    model_config::infer_backend(&mut model.written.config, &folder.name, &files, &model.context.facts);
}

fn apply_defaults(model: &mut Preparation<'_>) {
    let (folder, facts) = (model.folder, &model.context.facts);
    model_config::apply_defaults(&mut model.written.config, &folder.folder_name, facts);
}

fn validate(model: &mut Preparation<'_>) {
    let Written { origin, config, spans } = &model.written;
    let valid = model_config::validate_incomplete(config, spans.as_ref(), origin, &model.folder.folder_name);
    model.report.take(valid.map_err(bad_config));
}

fn know_agents(model: &mut Preparation<'_>) {
    let known = agents::refuse_unknown(&model.folder.name, model.config());
    model.report.take(known);
}

/// Refuses a config from a load request that names a library to be loaded.
fn refuse_foreign_libraries(model: &mut Preparation<'_>) {
    if model.json.is_some() {
        let refused = refuse_libraries(&model.folder.name, model.config());
        model.report.take(refused);
    }
}

fn select_versions(model: &mut Preparation<'_>) {
    let config = &model.written.config;
    let policy = config.version_policy.as_ref();
    if let Some(PolicyChoice::Specific(specific)) = policy.and_then(|p| p.policy_choice.as_ref()) {
        for (index, version) in specific.versions.iter().enumerate() {
            if !u64::try_from(*version).is_ok_and(|version| model.folder.versions.contains(&version)) {
                let field = format!("version_policy.specific.versions[{index}]");
                let message = format!("there is no folder for version {version}");
                model.report.warn(&field, message, FaultKind::VersionMissing);
            }
        }
    }
    match selected(model.folder, config) {
        Ok(versions) => {
            model.versions = versions;
            for (version, found) in model.folder.misplaced_versions() {
                let message =
                    format!("'{version}' is {found}, expected a folder with the files of version {version}");
                model.report.warn("", message, FaultKind::VersionMissing);
            }
        }
        // An empty list of versions was reported at its field, so the consequence is not reported.
        Err(_) if model.report.is_told("version_policy.specific") => {}
        Err(error) => model.report.errors.push(error),
    }
}

fn fall_back_to_cpu(model: &mut Preparation<'_>) {
    let (config, is_allowed) = (&mut model.written.config, model.context.settings.cpu_fallback);
    for moved in model_config::fall_back_to_cpu(config, &model.context.facts, is_allowed) {
        let what = match moved {
            Moved::ToCpu(group) => {
                format!("instance group '{group}' runs on the CPU, as its GPUs cannot be used")
            }
            Moved::Without(group, gpus) => {
                let gpus = gpus.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
                format!("instance group '{group}' runs on its other GPUs, as these cannot be used: {gpus}")
            }
        };
        model.report.warn("instance_group", what, FaultKind::NoEffect);
    }
}

fn warn_of_no_effect(model: &mut Preparation<'_>) {
    for field in without_effect(&model.written.config) {
        model.report.warn(field, "it has no effect in this version", FaultKind::NoEffect);
    }
}

/// Checks that a config which is not completed from the model file is complete as written.
fn require_completeness(model: &mut Preparation<'_>) {
    if model.context.is_final(model.config()) {
        let valid = model_config::validate(model.config(), None, "config", &model.folder.folder_name);
        model.report.take(valid.map_err(bad_config));
    }
}

fn require_backend(model: &mut Preparation<'_>) {
    if !model_config::is_ensemble(model.config()) {
        let latest = model.versions.last().map(|&version| model.folder.version_path(version));
        let directories = ModelDirectories {
            version: latest.as_deref(),
            model: &model.folder.path,
            came_with_request: model.folder.came_with_request,
        };
        let backend = match model.context.backend(&model.folder.name, model.config(), directories) {
            // That a library has another name than its backend wants was told already.
            Err(_) if model.report.is_told("runtime") => None,
            backend => model.report.take(backend),
        };
        let has_strategy = model.config().parameters.contains_key(BATCH_STRATEGY);
        if has_strategy && backend.is_some_and(|backend| !backend.facts().batch_strategies) {
            let text =
                "TRITON_BATCH_STRATEGY_PATH has no effect: only Triton's own backends ask such a library";
            model.report.warn("parameters", text, FaultKind::NoEffect);
        }
    }
}

/// Checks the placement of instances before a backend looks for devices that this machine does not have.
fn require_placement(model: &mut Preparation<'_>) {
    if !model_config::is_ensemble(model.config()) {
        let placed = model.context.check_placement(model.config());
        model.report.take(placed);
    }
}

/// Reads the label files, except for those whose name was reported as faulty.
fn read_labels(model: &mut Preparation<'_>) {
    let outputs = model.written.config.output.iter().enumerate();
    for (index, output) in outputs.filter(|(_, output)| !output.label_filename.is_empty()) {
        if model.report.is_told(&format!("output[{index}].label_filename")) {
            continue;
        }
        let (file, folder) = (&output.label_filename, model.folder);
        let text = labels::read_file(&folder.name, &folder.path, index, &output.name, file);
        if let Some(text) = model.report.take(text) {
            model.labels.insert(output.name.as_str().into(), labels::lines(&text));
        }
    }
}

/// Checks that the files of warm-up samples and of initial states can be opened.
fn require_files(model: &mut Preparation<'_>) {
    let (config, folder) = (&model.written.config, model.folder);
    model.report.errors.extend(warmup::open_files(config, &folder.path));
    for (field, file) in initial_state::named(config) {
        if !model.report.is_told(&field) {
            let opened = initial_state::open(&folder.name, &folder.path, config, file);
            model.report.take(opened);
        }
    }
}

fn run_agents(model: &mut Preparation<'_>) {
    let ran = agents::run(&model.folder.name, &model.folder.path, model.config());
    model.report.take(ran);
}

#[cfg(test)]
mod tests;
