use std::fs;
use std::path::Path;

use hippocamp_repository::ModelFolder;

use crate::{Context, check_model, prepare, require};

const WARM_UP: &str = "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\"
    value { data_type: TYPE_FP32 dims: 2 input_data_file: \"raw\" } } }";
const DIGEST: &str = "model_repository_agents { agents { name: \"checksum\" parameters { key: \"MD5:1/any\" value: \"0\" } } }";
const TENSORS: &str = "backend: \"none\" input { name: \"x\" data_type: TYPE_FP32 dims: 2 }
    output { name: \"y\" data_type: TYPE_FP32 dims: 2 label_filename: \"labels.txt\" }";

fn folder(repository: &Path, config: &str) -> ModelFolder {
    let model = repository.join("m");
    fs::create_dir_all(model.join("1")).unwrap();
    fs::write(model.join("1/any"), "").unwrap();
    fs::write(model.join("config.pbtxt"), config).unwrap();
    ModelFolder::read("m", &model, None).unwrap()
}

/// The fields of the errors that a check tells, in its order.
fn checked(folder: &ModelFolder) -> Vec<String> {
    check_model(&Context::for_tests(), folder).findings.into_iter().map(|finding| finding.field).collect()
}

/// The error of a load.
fn loaded(folder: &ModelFolder) -> String {
    let context = Context::for_tests();
    let prepared = prepare(&context, folder.clone(), None);
    let error = prepared.and_then(|prepared| require(&context, &prepared).map(drop)).unwrap_err();
    error.message().to_owned()
}

#[test]
fn a_load_stops_at_the_first_requirement_that_a_check_tells_of() {
    let repository = tempfile::tempdir().unwrap();
    let folder = folder(repository.path(), &format!("{TENSORS} {WARM_UP} {DIGEST}"));
    let faults = [
        ("backend", "there is no backend 'none'"),
        ("output[0].label_filename", "failed to read the labels of output 'y'"),
        ("model_warmup[0].inputs[\"x\"].input_data_file", "failed to read warmup data"),
        ("model_repository_agents", "Mismatched MD5 hash for file 1/any"),
    ];
    assert_eq!(checked(&folder), faults.map(|(field, _)| field));

    let error = loaded(&folder);
    assert!(error.contains(faults[0].1), "{error}");
    for (_, later) in &faults[1..] {
        assert!(!error.contains(later), "the step behind the first fault was taken: {error}");
    }
}

#[test]
fn each_requirement_is_the_first_once_those_before_it_are_met() {
    let repository = tempfile::tempdir().unwrap();
    let ensemble = "platform: \"ensemble\" input { name: \"x\" data_type: TYPE_FP32 dims: 2 }
        output { name: \"y\" data_type: TYPE_FP32 dims: 2 label_filename: \"labels.txt\" }
        ensemble_scheduling { step { model_name: \"a\" input_map { key: \"x\" value: \"x\" }
          output_map { key: \"y\" value: \"y\" } } }";
    let folder = folder(repository.path(), &format!("{ensemble} {DIGEST}"));
    assert_eq!(checked(&folder), ["output[0].label_filename", "model_repository_agents"]);
    assert!(loaded(&folder).contains("failed to read the labels"));
    fs::write(folder.path.join("labels.txt"), "a\nb\n").unwrap();
    assert_eq!(checked(&folder), ["model_repository_agents"]);
    assert!(loaded(&folder).contains("Mismatched MD5 hash"));
}

#[test]
fn a_library_that_is_not_there_is_told_with_the_folders_and_as_one_fault() {
    let repository = tempfile::tempdir().unwrap();
    let config = TENSORS.replace("label_filename: \"labels.txt\"", "");
    let folder = folder(repository.path(), &format!("{config} runtime: \"libtriton_none.so\""));
    let found = check_model(&Context::for_tests(), &folder).findings;
    let [finding] = &*found else { panic!("{found:?}") };
    let version = folder.path.join("1");
    for part in [
        "'libtriton_none.so' for model 'm'",
        &*version.to_string_lossy(),
        "the folder 'none' of --backend-directory",
    ] {
        assert!(finding.message.contains(part), "{part}: {}", finding.message);
    }
    assert_eq!(finding.field, "runtime");
    assert_eq!(loaded(&folder), finding.message);
}

#[test]
fn a_load_tells_all_faults_of_a_config_as_a_check_does() {
    let repository = tempfile::tempdir().unwrap();
    let config = "name: \"other\" backend: \"none\" max_batch_size: -1 input { name: \"x\" dims: 0 }";
    let folder = folder(repository.path(), config);
    let check = check_model(&Context::for_tests(), &folder);
    let error = loaded(&folder);
    let of_config = ["name", "max_batch_size", "input[0].dims[0]"];
    for field in of_config {
        let finding = check.findings.iter().find(|finding| finding.field == field);
        let finding = finding.unwrap_or_else(|| panic!("{field}: {:?}", check.findings));
        assert!(error.contains(&finding.message), "{error}");
    }
    assert!(!error.contains("there is no backend"), "no requirement is looked at: {error}");
    assert!(check.findings.iter().any(|finding| finding.field == "backend"), "a check looks at all");
}

#[test]
fn nothing_is_said_behind_a_config_that_cannot_be_read() {
    let repository = tempfile::tempdir().unwrap();
    let folder = folder(repository.path(), &format!("{TENSORS} max_batch: 1"));
    let check = check_model(&Context::for_tests(), &folder);
    assert_eq!(check.findings.len(), 1, "{:?}", check.findings);
    assert!(check.config.is_none());
    assert!(loaded(&folder).contains("has no field named \"max_batch\""));
}
