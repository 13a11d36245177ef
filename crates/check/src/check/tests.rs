use std::fs;
use std::path::Path;

use super::*;
use crate::{to_json, to_text};

fn write(repository: &Path, path: &str, content: &str) {
    let path = repository.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn checked(repository: &Path) -> Report {
    let settings = Settings { repositories: vec![repository.into()], ..Settings::default() };
    check(&settings, &hippocamp_backend_builtin::backends(), CheckOptions { model_files: true })
}

const GOOD: &str = "backend: \"identity\" max_batch_size: 4
    input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 label_filename: \"labels.txt\" }\n";

#[test]
fn a_good_model_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good/config.pbtxt", GOOD);
    write(folder.path(), "good/labels.txt", "a\nb\n");
    write(folder.path(), "good/1/any", "");
    let report = checked(folder.path());
    assert_eq!(report.counts(), (0, 0), "{}", to_text(&report));
    assert_eq!(to_text(&report), "1 model, 0 errors, 0 warnings\n");
}

#[test]
fn a_batch_strategy_that_nobody_asks_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let more = "parameters { key: \"TRITON_BATCH_STRATEGY_PATH\" value { string_value: \"lib.so\" } } dynamic_batching { }";
    write(folder.path(), "m/config.pbtxt", &format!("{GOOD}{more}"));
    write(folder.path(), "m/labels.txt", "a\nb\n");
    write(folder.path(), "m/1/any", "");
    let report = checked(folder.path());
    let text = to_text(&report);
    assert_eq!(report.counts(), (0, 1), "{text}");
    assert!(
        text.contains("TRITON_BATCH_STRATEGY_PATH has no effect: only Triton's own backends ask"),
        "{text}"
    );
}

#[test]
fn all_faults_are_shown_with_line_mark_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "bad/config.pbtxt",
        "backend: \"identity\"\n\tmax_batch: 4\ninput { data_type: FP32 }\n",
    );
    write(folder.path(), "bad/1/any", "");
    let text = to_text(&checked(folder.path()));
    let path = folder.path().join("bad/config.pbtxt");
    let first = format!(
        "error: Message type \"inference.ModelConfig\" has no field named \"max_batch\".\n  --> {}:2:",
        path.display()
    );
    assert!(text.contains(&first), "{text}");
    assert!(text.contains("\n   |\n 2 |  max_batch: 4\n   |  "), "{text}");
    assert!(text.contains("  = fix: write 'max_batch_size'\n"), "{text}");
    assert!(text.contains("  = fix: write TYPE_FP32\n"), "{text}");
    assert!(text.ends_with("1 model, 2 errors, 0 warnings\n"), "{text}");
}

#[test]
fn files_that_a_config_names_have_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let more = "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"INPUT0\"
          value { data_type: TYPE_FP32 dims: 2 input_data_file: \"raw\" } } }
        version_policy { specific { versions: [1, 7] } }
        model_repository_agents { agents { name: \"checksum\" parameters { key: \"MD5:1/any\" value: \"0\" } } }";
    write(folder.path(), "m/config.pbtxt", &format!("{GOOD}{more}"));
    write(folder.path(), "m/1/any", "");
    let report = checked(folder.path());
    let found: Vec<(&str, u32)> =
        report.models[0].findings.iter().map(|(f, _)| (f.message.as_str(), f.line)).collect();
    for (part, line) in [
        ("failed to read the labels of output 'OUTPUT0'", 3),
        ("failed to read warmup data", 5),
        ("Mismatched MD5 hash for file 1/any", 7),
        ("there is no folder for version 7", 6),
    ] {
        assert!(found.iter().any(|(message, at)| message.contains(part) && *at == line), "{part}: {found:?}");
    }
    assert_eq!(report.counts().0, 3);
}

#[test]
fn models_that_cannot_load_and_names_that_are_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "empty/config.pbtxt", "backend: \"identity\"");
    write(
        folder.path(),
        "typo/config.pbtxt",
        "backend: \"identitty\" input { name: \"i\" data_type: TYPE_FP32 dims: 1 }",
    );
    write(folder.path(), "typo/1/any", "");
    let text = to_text(&checked(folder.path()));
    assert!(text.contains("make a folder '1' with the model file in it"), "{text}");
    assert!(
        text.contains("there is no backend 'identitty'") && text.contains("fix: write 'identity'"),
        "{text}"
    );
    let settings =
        Settings { repositories: vec![folder.path().into(), folder.path().into()], ..Settings::default() };
    let report = check(&settings, &[], CheckOptions { model_files: false });
    assert!(report.models.is_empty());
    assert!(report.repositories[0].contains("model 'empty' is in more than one repository"), "{report:?}");
    let gone = Settings { repositories: vec![Path::new("/not/there").into()], ..Settings::default() };
    assert_eq!(check(&gone, &[], CheckOptions { model_files: false }).counts(), (1, 0));
}

#[test]
fn an_ensemble_is_compared_with_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "inner/config.pbtxt", &GOOD.replace(" label_filename: \"labels.txt\"", ""));
    write(folder.path(), "inner/1/any", "");
    let steps = r#"platform: "ensemble"
ensemble_scheduling {
  step { model_name: "iner" input_map { key: "INPUT0" value: "x" } output_map { key: "OUTPUT0" value: "y" } }
  step { model_name: "inner" input_map { key: "INPUT" value: "x" } output_map { key: "OUTPUT0" value: "z" } }
  step { model_name: "outer" input_map { key: "x" value: "x" } output_map { key: "z" value: "z2" } }
}
input { name: "x" data_type: TYPE_FP32 dims: -1 }
output { name: "z" data_type: TYPE_FP32 dims: -1 }
"#;
    write(folder.path(), "outer/config.pbtxt", steps);
    write(folder.path(), "outer/1/any", "");
    let report = checked(folder.path());
    let text = to_text(&report);
    assert!(text.contains("ensemble 'outer' wants model 'iner', which no repository has"), "{text}");
    assert!(text.contains("fix: write 'inner', or add a model 'iner'"), "{text}");
    assert!(text.contains("model 'inner' has no input 'INPUT', it has INPUT0"), "{text}");
    assert!(text.contains("circular dependency between ensembles: outer -> outer"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&to_json(&report)).unwrap();
    let outer = &json["models"][1];
    let wanted = outer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["fix"] == "write 'inner', or add a model 'iner'");
    let wanted = wanted.unwrap();
    assert_eq!((wanted["line"].as_u64(), wanted["severity"].as_str()), (Some(3), Some("error")));
    assert_eq!(wanted["field"], "ensemble_scheduling.step[0].model_name");
    assert!(json["errors"].as_u64().unwrap() >= 3);
}

#[test]
fn hostile_names_and_texts_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/config.pbtxt", "\u{1b}[2Jbackend: \"x\"\n");
    write(folder.path(), "m/1/any", "");
    let text = to_text(&checked(folder.path()));
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

/// The errors of a model as (field, message) pairs.
fn errors<'r>(report: &'r Report, name: &str) -> Vec<(&'r str, &'r str)> {
    let model = report.models.iter().find(|model| model.name == name).unwrap();
    let errors = model.findings.iter().filter(|(finding, _)| finding.severity == Severity::Error);
    errors.map(|(finding, _)| (finding.field.as_str(), finding.message.as_str())).collect()
}

const PLAIN: &str = "backend: \"identity\" max_batch_size: 4
    input { name: \"INPUT0\" data_type: TYPE_FP32 dims: 4 }
    output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 4 }\n";

#[test]
fn what_only_a_start_finds_is_found_at_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let warmup = |input: &str| format!("{PLAIN}model_warmup {{ name: \"w\" batch_size: 1 {input} }}");
    let zeros = "inputs { key: \"INPUT0\" value { data_type: TYPE_INT32 dims: 4 zero_data: true } }";
    write(folder.path(), "type/config.pbtxt", &warmup(zeros));
    write(folder.path(), "none/config.pbtxt", &warmup(""));
    write(folder.path(), "part/config.pbtxt", &PLAIN.replace("OUTPUT0", "OUTPUT1"));
    write(folder.path(), "auto/config.pbtxt", &format!("{PLAIN}instance_group {{ gpus: 0 }}"));
    for name in ["type", "none", "part", "auto"] {
        write(folder.path(), &format!("{name}/1/any"), "");
    }
    let report = checked(folder.path());
    let first = |name| errors(&report, name)[0];
    assert_eq!(first("type").0, "model_warmup[0].inputs[\"INPUT0\"]");
    assert!(first("type").1.contains("expects data type TYPE_FP32"), "{report:?}");
    assert_eq!(first("none").0, "model_warmup[0]");
    assert!(first("part").1.contains("'OUTPUT1' has none"));
    assert_eq!(errors(&report, "auto"), [], "instances for GPUs that are not there run on the CPU");
    assert_eq!(report.counts().0, 3, "each is told once: {}", to_text(&report));
}

#[test]
fn a_broken_ensemble_is_reported_at_its_steps_and_a_missing_model_of_it_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a/config.pbtxt", PLAIN);
    write(folder.path(), "broken/config.pbtxt", "backend: \"nothing\"");
    let ensemble = |model: &str, data_type: &str, more: &str| {
        format!(
            "platform: \"ensemble\" max_batch_size: 8
            input {{ name: \"I\" data_type: {data_type} dims: 5 }}
            output {{ name: \"O\" data_type: TYPE_FP32 dims: 4 }}
            ensemble_scheduling {{ step {{ model_name: \"{model}\" {more}
              input_map {{ key: \"INPUT0\" value: \"I\" }}
              output_map {{ key: \"OUTPUT0\" value: \"O\" }} }} }}"
        )
    };
    write(folder.path(), "e/config.pbtxt", &ensemble("a", "TYPE_INT32", ""));
    write(folder.path(), "version/config.pbtxt", &ensemble("a", "TYPE_FP32", "model_version: 7"));
    write(folder.path(), "follows/config.pbtxt", &ensemble("broken", "TYPE_FP32", ""));
    for name in ["a", "broken"] {
        write(folder.path(), &format!("{name}/1/any"), "");
    }
    let report = checked(folder.path());
    let fields = |name| errors(&report, name).iter().map(|(field, _)| *field).collect::<Vec<_>>();
    let input = "ensemble_scheduling.step[0].input_map[\"INPUT0\"]";
    assert_eq!(fields("e"), ["max_batch_size", input]);
    assert_eq!(fields("version"), ["ensemble_scheduling.step[0].model_version"]);
    assert_eq!(fields("follows"), [""; 0], "it is told at the model that is broken");
    assert_eq!(fields("broken"), ["backend"]);
}

#[test]
fn a_config_without_a_version_tells_its_other_faults_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = "backend: \"identity\" input { name: \"INPUT0\" dims: 4 }
        output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 4 reshape { shape: 5 } }";
    write(folder.path(), "m/config.pbtxt", config);
    let report = checked(folder.path());
    let fields: Vec<&str> = errors(&report, "m").iter().map(|(field, _)| *field).collect();
    for field in ["input[0].data_type", "output[0].reshape", "version_policy"] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    assert_eq!(fields.len(), 3, "each once: {fields:?}");
}

#[test]
fn an_empty_repository_and_one_that_is_a_model_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let report = checked(folder.path());
    assert_eq!(report.counts(), (0, 1), "{}", to_text(&report));
    assert!(to_text(&report).starts_with("warning: there is no model in '"));
    write(folder.path(), "config.pbtxt", PLAIN);
    write(folder.path(), "1/model.onnx", "");
    let report = checked(folder.path());
    assert!(report.advice[0].contains("is a model's folder"), "{report:?}");
    assert!(report.counts().0 > 0, "'1' is taken for a model");
}

/// A backend whose engine is missing.
#[derive(Debug)]
struct Away;

impl Backend for Away {
    fn name(&self) -> &'static str {
        "away"
    }

    fn available(&self) -> hippocamp_backend::Result<()> {
        Err(hippocamp_backend::Error::unavailable("its library is nowhere"))
    }

    fn load(
        &self,
        _: &hippocamp_backend::ModelSource,
    ) -> hippocamp_backend::Result<Box<dyn hippocamp_backend::Model>> {
        Err(hippocamp_backend::Error::unavailable("its library is nowhere"))
    }
}

#[test]
fn a_missing_engine_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        write(folder.path(), &format!("{name}/config.pbtxt"), "backend: \"away\"");
        write(folder.path(), &format!("{name}/1/any"), "");
    }
    let settings = Settings { repositories: vec![folder.path().into()], ..Settings::default() };
    let backends: Vec<Arc<dyn Backend>> = vec![Arc::new(Away)];
    let report = check(&settings, &backends, CheckOptions { model_files: true });
    let text = to_text(&report);
    assert_eq!(text.matches("its library is nowhere").count(), 1, "{text}");
    assert!(text.contains("2 models of backend 'away' could not be checked"), "{text}");
    assert_eq!((report.engines.len(), report.counts()), (1, (1, 0)));
    let report = check(&settings, &backends, CheckOptions { model_files: false });
    assert_eq!((report.engines.len(), report.counts()), (0, (0, 0)), "it is not needed for configs");
}

#[test]
fn a_config_that_is_no_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/1/any", "");
    write(folder.path(), "n/1/any", "");
    std::os::unix::fs::symlink("nowhere", folder.path().join("m/config.pbtxt")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("n/config.pbtxt")).unwrap();
    let report = checked(folder.path());
    assert!(errors(&report, "m")[0].1.contains("failed to read '"), "{report:?}");
    assert!(errors(&report, "n")[0].1.contains("it is a device, expected a regular file"), "{report:?}");
    assert_eq!(report.counts().0, 2);
}

#[test]
fn a_circle_of_ensembles_is_named_at_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let ensemble = |step: &str| {
        format!(
            "platform: \"ensemble\"
            input {{ name: \"x\" data_type: TYPE_FP32 dims: -1 }} output {{ name: \"y\" data_type: TYPE_FP32 dims: -1 }}
            ensemble_scheduling {{ step {{ model_name: \"{step}\"
              input_map {{ key: \"x\" value: \"x\" }} output_map {{ key: \"y\" value: \"y\" }} }} }}"
        )
    };
    for (name, step) in [("a", "b"), ("b", "c"), ("c", "a"), ("beside", "a"), ("nameless", "")] {
        write(folder.path(), &format!("{name}/config.pbtxt"), &ensemble(step));
        write(folder.path(), &format!("{name}/1/any"), "");
    }
    for model_files in [true, false] {
        let settings = Settings { repositories: vec![folder.path().into()], ..Settings::default() };
        let report = check(&settings, &hippocamp_backend_builtin::backends(), CheckOptions { model_files });
        for (name, circle) in
            [("a", "a -> b -> c -> a"), ("b", "b -> c -> a -> b"), ("c", "c -> a -> b -> c")]
        {
            let message = format!("circular dependency between ensembles: {circle}");
            assert_eq!(errors(&report, name), [("ensemble_scheduling", message.as_str())]);
        }
        assert_eq!(errors(&report, "beside"), [], "it is told at the models in the circle");
        let nameless =
            ("ensemble_scheduling.step[0]", "must specify 'model_name' in step 0 of ensemble 'nameless'");
        assert_eq!(errors(&report, "nameless"), [nameless]);
    }
}

#[test]
fn what_is_no_folder_in_the_place_of_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, folder.path().join(at)).unwrap();
    write(folder.path(), "README.md", "no model");
    link("nowhere", "dangling");
    link("/dev/zero", "device");
    link("nowhere", ".hidden");
    write(folder.path(), "file/config.pbtxt", PLAIN);
    write(folder.path(), "file/1", "the model file itself");
    write(folder.path(), "two/config.pbtxt", PLAIN);
    write(folder.path(), "two/1/any", "");
    link("nowhere", "two/2");
    let report = checked(folder.path());
    let text = to_text(&report);
    for (name, found) in [("dangling", "a link to 'nowhere', which is not there"), ("device", "a device")] {
        let told = format!(
            "warning: ignored \"{name}\" in model repository '{}': it is {found}, ",
            folder.path().display()
        );
        assert!(text.contains(&told), "{text}");
    }
    assert_eq!(report.advice.len(), 2, "{text}");
    let [(field, message)] = errors(&report, "file")[..] else { panic!("{text}") };
    assert_eq!(field, "version_policy");
    assert!(message.ends_with("'1' is a file: make it a folder with the model file in it"), "{message}");
    assert_eq!(report.counts(), (1, 3), "each is told once: {text}");
    let two = report.models.iter().find(|model| model.name == "two").unwrap();
    let [(warning, _)] = &two.findings[..] else { panic!("{text}") };
    assert_eq!(warning.severity, Severity::Warning);
    assert!(warning.message.starts_with("'2' is a link to 'nowhere', which is not there, expected a folder"));
}

#[test]
fn an_empty_list_of_versions_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/config.pbtxt", &format!("{PLAIN}version_policy {{ specific {{ }} }}"));
    write(folder.path(), "m/1/any", "");
    let report = checked(folder.path());
    let message = "version policy 'specific' must list at least one version for m";
    assert_eq!(errors(&report, "m"), [("version_policy.specific", message)]);
}
