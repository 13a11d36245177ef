use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::*;
use crate::{fixes_to_text, to_json_with_fixes, to_text};

const GOOD: &str = "# Ours.
backend: \"identity\"
max_batch_size: 4
input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 } # any
output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }
";

fn write(repository: &Path, path: &str, content: &str) {
    let path = repository.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn fixed(repository: &Path, is_dry: bool) -> (Vec<Fix>, Report) {
    let settings = Settings { repositories: vec![repository.into()], ..Settings::default() };
    fix(&settings, &hippocamp_backend_builtin::backends(), CheckOptions { model_files: true }, is_dry)
}

/// What becomes of a model's config; `None` if nothing does.
fn config_after(text: &str) -> (Option<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/config.pbtxt", text);
    write(folder.path(), "m/1/any", "");
    let (fixes, report) = fixed(folder.path(), false);
    let shown = fixes_to_text(&fixes) + &to_text(&report);
    let after = fs::read_to_string(folder.path().join("m/config.pbtxt")).unwrap();
    let is_good = report.counts().0 == 0;
    assert!(fixes.iter().all(|fix| (fix.outcome == Outcome::Written) == is_good), "{shown}");
    ((after != text).then_some(after), shown)
}

#[test]
fn what_has_a_certain_cure_is_mended_and_the_rest_of_the_text_stays() {
    let group = "instance_group [ { count: 2 kind: KIND_GPU gpus: [0, 1, 2, 3] } ]\n";
    for (from, to, with) in [
        ("max_batch_size: 4", "max_batch: 4", "max_batch_size: 4"),
        ("TYPE_FP32 dims: -1 } # any", "FP32 dims: -1 } # any", "TYPE_FP32 dims: -1 } # any"),
        ("TYPE_FP32 dims: -1 } # any", "\"FP32\" dims: -1 } # any", "TYPE_FP32 dims: -1 } # any"),
        ("\"identity\"", "\"identitty\"", "\"identity\""),
        ("max_batch_size: 4\n", "name: \"other\"\nmax_batch_size: 4\n", "max_batch_size: 4\n"),
        ("max_batch_size: 4\n", "max_batch_size: 4\nmax_batch_size: 4\n", "max_batch_size: 4\n"),
        ("dims: -1 } # any", "dims: -1, reshape { shape: [ 2 ] } } # any", "dims: -1, } # any"),
    ] {
        let (after, shown) = config_after(&GOOD.replace(from, to));
        assert_eq!(after.as_deref(), Some(GOOD.replace(from, with).as_str()), "{shown}");
    }
    let (after, _) = config_after(&format!("{GOOD}{group}"));
    assert_eq!(after.unwrap(), format!("{GOOD}instance_group [ {{ count: 2 kind: KIND_CPU }} ]\n"));
    let (after, _) = config_after(&format!("{GOOD}{}", group.replace("KIND_GPU", "KIND_CPU")));
    assert_eq!(after.unwrap(), format!("{GOOD}instance_group [ {{ count: 2 kind: KIND_CPU }} ]\n"));
}

#[test]
fn several_faults_are_mended_in_turn() {
    let text = GOOD.replace("max_batch_size", "max_batch").replace("\"identity\"", "\"identitty\"");
    let text = format!("{text}instance_group {{ kind: KIND_GPPU gpus: 0 }}\n");
    let (after, shown) = config_after(&text);
    assert_eq!(after.unwrap(), format!("{GOOD}instance_group {{ kind: KIND_CPU }}\n"));
    assert!(shown.starts_with("fixed: model 'm' loads with this, and it is written\n--- "), "{shown}");
    assert!(shown.contains("\n-max_batch: 4\n+backend: \"identity\"\n+max_batch_size: 4\n"), "{shown}");
    assert!(shown.ends_with("1 model, 0 errors, 0 warnings\n"), "{shown}");
}

#[test]
fn what_does_not_make_it_load_is_not_written() {
    let warm_up = "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"INPUT0\"
        value { data_type: TYPE_FP32 dims: 2 input_data_file: \"none\" } } }";
    let text = format!("{}{warm_up}\n", GOOD.replace("max_batch_size", "max_batch"));
    let (after, shown) = config_after(&text);
    assert_eq!(after, None, "{shown}");
    assert!(shown.starts_with("left alone: model 'm' would not load with this either: "), "{shown}");
    // Nobody knows which one is meant.
    let (after, shown) =
        config_after(&GOOD.replace("max_batch_size: 4", "max_batch_size: 4 max_batch_size: 8"));
    assert_eq!(after, None);
    assert!(!shown.contains("left alone"), "nothing was tried: {shown}");
    let (after, _) = config_after(GOOD);
    assert_eq!(after, None, "it is good");
}

#[test]
fn a_model_file_beside_the_config_is_moved_with_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/config.pbtxt", &format!("{GOOD}default_model_filename: \"model.bin\"\n"));
    write(folder.path(), "m/model.bin", "model");
    write(folder.path(), "m/model.bin.data", "weights");
    write(folder.path(), "m/notes.txt", "");
    let (fixes, _) = fixed(folder.path(), true);
    assert_eq!(fixes.len(), 1);
    assert_eq!(fixes[0].outcome, Outcome::Shown);
    assert_eq!(fixes[0].changes, "move model.bin to 1/model.bin\nmove model.bin.data to 1/model.bin.data\n");
    assert!(folder.path().join("m/model.bin").is_file(), "nothing is written");
    let (fixes, report) = fixed(folder.path(), false);
    assert_eq!((report.counts(), &fixes[0].outcome), ((0, 0), &Outcome::Written));
    assert_eq!(fs::read_to_string(folder.path().join("m/1/model.bin.data")).unwrap(), "weights");
    assert!(!folder.path().join("m/model.bin").is_file() && folder.path().join("m/notes.txt").is_file());
}

#[test]
fn ensembles_are_mended_with_what_they_are_made_of() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "inner/config.pbtxt", &GOOD.replace("identity", "identitty"));
    write(folder.path(), "inner/1/any", "");
    let outer = r#"platform: "ensemble"
max_batch_size: 8 # too many
instance_group { kind: KIND_CPU }
input { name: "x" data_type: TYPE_FP32 dims: -1 }
output { name: "y" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling {
  step { model_name: "inner" input_map { key: "INPUT0" value: "x" } output_map { key: "OUTPUT0" value: "y" } }
}
"#;
    write(folder.path(), "outer/config.pbtxt", outer);
    let (fixes, report) = fixed(folder.path(), false);
    let shown = fixes_to_text(&fixes) + &to_text(&report);
    assert_eq!(report.counts(), (0, 0), "{shown}");
    assert_eq!(fs::read_to_string(folder.path().join("inner/config.pbtxt")).unwrap(), GOOD);
    let after = fs::read_to_string(folder.path().join("outer/config.pbtxt")).unwrap();
    let expected = outer.replace("instance_group { kind: KIND_CPU }\n", "");
    assert_eq!(after, expected.replace("max_batch_size: 8 #", "max_batch_size: 4 #"));
}

#[test]
fn no_other_model_takes_the_place_of_one_that_is_missing() {
    for (wanted, there) in [("ranker_v2", "ranker_v1"), ("detector_b", "detector_a"), ("resnet", "resnet_v2")]
    {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &format!("{there}/config.pbtxt"), GOOD);
        write(folder.path(), &format!("{there}/1/any"), "");
        let outer = format!(
            "platform: \"ensemble\" input {{ name: \"x\" data_type: TYPE_FP32 dims: -1 }}
            output {{ name: \"y\" data_type: TYPE_FP32 dims: -1 }} ensemble_scheduling {{ step {{
            model_name: \"{wanted}\" input_map {{ key: \"INPUT0\" value: \"x\" }}
            output_map {{ key: \"OUTPUT0\" value: \"y\" }} }} }}"
        );
        write(folder.path(), "outer/config.pbtxt", &outer);
        let (fixes, report) = fixed(folder.path(), false);
        assert!(fixes.is_empty() && report.counts().0 > 0, "{wanted}: {fixes:?}");
        assert_eq!(fs::read_to_string(folder.path().join("outer/config.pbtxt")).unwrap(), outer);
    }
}

#[test]
fn a_config_that_two_models_share_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let bad = GOOD.replace("max_batch_size", "max_batch");
    write(folder.path(), "shared.txt", &bad);
    for model in ["a", "b"] {
        write(folder.path(), &format!("models/{model}/1/any"), "");
        let link = folder.path().join(format!("models/{model}/config.pbtxt"));
        std::os::unix::fs::symlink("../../shared.txt", link).unwrap();
    }
    let (fixes, _) = fixed(&folder.path().join("models"), false);
    let why = Outcome::LeftAlone("another model has the same config, by a link".to_owned());
    assert_eq!(fixes.iter().map(|fix| &fix.outcome).collect::<Vec<_>>(), [&why, &why]);
    assert_eq!(fs::read_to_string(folder.path().join("shared.txt")).unwrap(), bad);
}

#[test]
fn an_ensemble_does_not_count_on_a_step_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "shared.txt", &GOOD.replace("max_batch_size", "max_batch"));
    for model in ["a", "b"] {
        write(folder.path(), &format!("models/{model}/1/any"), "");
        let link = folder.path().join(format!("models/{model}/config.pbtxt"));
        std::os::unix::fs::symlink("../../shared.txt", link).unwrap();
    }
    let outer = r#"platform: "ensemble" max_batch_size: 4 instance_group { kind: KIND_CPU }
        input { name: "x" data_type: TYPE_FP32 dims: -1 } output { name: "y" data_type: TYPE_FP32 dims: -1 }
        ensemble_scheduling { step { model_name: "a" input_map { key: "INPUT0" value: "x" }
        output_map { key: "OUTPUT0" value: "y" } } }"#;
    write(folder.path(), "models/outer/config.pbtxt", outer);
    let (fixes, _) = fixed(&folder.path().join("models"), false);
    let outer_now = fs::read_to_string(folder.path().join("models/outer/config.pbtxt")).unwrap();
    assert_eq!(outer_now, outer, "it would not load: {}", fixes_to_text(&fixes));
}

#[test]
fn a_name_that_an_ensemble_asks_for_is_left() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m/config.pbtxt", &format!("name: \"wanted\"\n{GOOD}"));
    write(folder.path(), "m/1/any", "");
    let outer = r#"platform: "ensemble" input { name: "x" data_type: TYPE_FP32 dims: -1 }
        output { name: "y" data_type: TYPE_FP32 dims: -1 } ensemble_scheduling { step { model_name: "wanted"
        input_map { key: "INPUT0" value: "x" } output_map { key: "OUTPUT0" value: "y" } } }"#;
    write(folder.path(), "outer/config.pbtxt", outer);
    let (fixes, _) = fixed(folder.path(), false);
    assert!(fixes.iter().all(|fix| fix.model != "m"), "the folder may have the wrong name: {fixes:?}");
}

#[test]
fn links_permissions_and_custom_configs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let bad = GOOD.replace("max_batch_size", "max_batch");
    write(folder.path(), "elsewhere.txt", &bad);
    write(folder.path(), "models/m/1/any", "");
    fs::set_permissions(folder.path().join("elsewhere.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can.
    drop(chown(folder.path().join("elsewhere.txt"), Some(1234), Some(1234)));
    let owner =
        || fs::metadata(folder.path().join("elsewhere.txt")).map(|file| (file.uid(), file.gid())).unwrap();
    let before = owner();
    std::os::unix::fs::symlink("../../elsewhere.txt", folder.path().join("models/m/config.pbtxt")).unwrap();
    write(folder.path(), "models/custom/config.pbtxt", "backend: \"none such\"");
    write(folder.path(), "models/custom/configs/ours.pbtxt", &bad);
    write(folder.path(), "models/custom/configs/theirs.pbtxt", &bad);
    write(folder.path(), "models/custom/1/any", "");
    let settings = Settings {
        repositories: vec![folder.path().join("models").into()],
        model_config_name: Some("ours".to_owned()),
        ..Settings::default()
    };
    let options = CheckOptions { model_files: true };
    let (fixes, report) = fix(&settings, &hippocamp_backend_builtin::backends(), options, false);
    assert_eq!(report.counts(), (0, 0), "{}", fixes_to_text(&fixes) + &to_text(&report));
    let text = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    assert_eq!((text("elsewhere.txt").as_str(), owner()), (GOOD, before));
    assert_eq!(
        fs::metadata(folder.path().join("elsewhere.txt")).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(fs::symlink_metadata(folder.path().join("models/m/config.pbtxt")).unwrap().is_symlink());
    assert_eq!(text("models/custom/configs/ours.pbtxt"), GOOD);
    assert_eq!(text("models/custom/configs/theirs.pbtxt"), bad);
    let json: serde_json::Value = serde_json::from_str(&to_json_with_fixes(&report, &fixes)).unwrap();
    assert_eq!(json["fixes"][0]["outcome"], "written");
    assert_eq!(json["errors"], 0);
}

#[test]
fn what_was_changed_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.pbtxt", "now");
    let change = Change {
        config: Some("config.pbtxt".into()),
        before: "before".to_owned(),
        after: "after".to_owned(),
        moves: Vec::new(),
    };
    assert_eq!(write::write(folder.path(), &change), Err("it was changed meanwhile".to_owned()));
    let moves = ["a", "b"].map(|name| (name.into(), Path::new("1").join(name)));
    let change = Change { before: "now".to_owned(), moves: moves.to_vec(), ..change };
    write(folder.path(), "a", "new");
    write(folder.path(), "b", "new");
    write(folder.path(), "1/b", "old");
    assert!(write::write(folder.path(), &change).unwrap_err().contains("'b' cannot be moved"));
    let text = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    assert_eq!((text("1/b"), text("a"), text("b")), ("old".into(), "new".into(), "new".into()));
    assert_eq!(text("config.pbtxt"), "now", "all is as it was");
}
