use proptest::prelude::*;

use super::*;
use crate::parse;

/// As the tutorial of TensorRT Inference Server writes it, with comments.
const NETWORK: &str = r#"# The network.
name: "net"  # its folder
max_batch_size: 1
input [
  {
    name: "image",
    dims: [1, 3, 8, 8],
    data_type: TYPE_FP32,
    reshape: { shape: [3, 8, 8] }
  }
]
output [ { name: "a" data_type: TYPE_FP32 dims: [ 4 ] }, { name: "b" data_type: TYPE_FP32 dims: 4 } ]
instance_group [
  {
    count: 16
    kind: KIND_GPU
    gpus: [0, 1, 2, 3]  # all of them
  }
]
"#;

fn set(path: &str, value: &str) -> Edit {
    Edit::Set { path: path.to_owned(), value: value.to_owned() }
}

fn remove(path: &str) -> Edit {
    Edit::Remove { path: path.to_owned() }
}

/// The lines that an edit takes away and those that it adds.
fn changed(edits: &[Edit]) -> (Vec<String>, Vec<String>) {
    let text = edited(NETWORK, edits).unwrap();
    parse(&text, "edited").unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    let without = |a: &str, b: &str| {
        a.lines().filter(|line| !b.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    (without(NETWORK, &text), without(&text, NETWORK))
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn one_value_changes_and_nothing_else() {
    let (gone, new) = changed(&[set("max_batch_size", "0")]);
    assert_eq!((gone, new), (owned(&["max_batch_size: 1"]), owned(&["max_batch_size: 0"])));
    let (gone, new) = changed(&[set("instance_group[0].kind", "KIND_CPU"), remove("instance_group[0].gpus")]);
    assert_eq!(gone, ["    kind: KIND_GPU", "    gpus: [0, 1, 2, 3]  # all of them"]);
    assert_eq!(new, ["    kind: KIND_CPU", "    # all of them"]);
    let (_, new) = changed(&[set("output[1].dims", "[ 5, 6 ]")]);
    assert!(new[0].ends_with("{ name: \"b\" data_type: TYPE_FP32 dims: [ 5, 6 ] } ]"), "{new:?}");
}

#[test]
fn fields_are_removed_with_their_lines() {
    let (gone, new) = changed(&[remove("input[0].reshape")]);
    assert_eq!((gone, new), (owned(&["    reshape: { shape: [3, 8, 8] }"]), owned(&[])));
    let (_, new) = changed(&[remove("output[0].dims")]);
    assert!(new[0].starts_with("output [ { name: \"a\" data_type: TYPE_FP32 }, {"), "{new:?}");
    let (gone, new) = changed(&[remove("name")]);
    assert_eq!((gone, new), (owned(&["name: \"net\"  # its folder"]), owned(&["# its folder"])));
}

#[test]
fn edits_in_the_same_place_are_refused() {
    assert_eq!(edited(NETWORK, &[remove("input[0].reshape"), set("input[0].format", "FORMAT_NCHW")]), None);
    assert_eq!(edited(NETWORK, &[remove("input"), set("input[0].dims", "[ 3 ]")]), None);
}

#[test]
fn added_fields_keep_the_style() {
    let (_, new) = changed(&[set("input[0].format", "FORMAT_NCHW")]);
    assert_eq!(new, ["    reshape: { shape: [3, 8, 8] },", "    format: FORMAT_NCHW"]);
    let (_, new) = changed(&[set("output[0].reshape", "{ shape: [ 2, 2 ] }")]);
    assert!(new[0].contains("dims: [ 4 ] reshape: { shape: [ 2, 2 ] } }, {"), "{new:?}");
    let (_, new) = changed(&[set("instance_group[0].passive", "true")]);
    assert_eq!(new, ["    passive: true"], "behind the comment");
    let (_, new) = changed(&[set("platform", "\"onnxruntime_onnx\"")]);
    assert_eq!(new, ["platform: \"onnxruntime_onnx\""]);
}

#[test]
fn several_fields_of_a_list_become_one() {
    let text = "instance_group { kind: KIND_GPU gpus: 0 gpus: 1\n  gpus: 2\n}\n";
    let text = edited(text, &[set("instance_group[0].gpus", "[ 0 ]")]).unwrap();
    assert_eq!(text, "instance_group { kind: KIND_GPU gpus: [ 0 ]\n}\n");
}

#[test]
fn names_are_replaced_where_they_stand() {
    let rename = |line, column, from: &str| {
        let (from, to) = (from.to_owned(), "X".to_owned());
        edited("\u{feff}# ä\nmax_batch: 8 b", &[Edit::Rename { line, column, from, to }])
    };
    assert_eq!(rename(2, 1, "max_batch").as_deref(), Some("\u{feff}# ä\nX: 8 b"));
    assert_eq!(rename(2, 1, "max"), None, "it is only a part of the name");
    assert_eq!(rename(2, 2, "max_batch"), None);
    assert_eq!(rename(9, 1, "max_batch"), None);
    assert_eq!(rename(2, 0, "max_batch"), None);
}

#[test]
fn what_has_no_place_is_refused() {
    for path in ["input[7].dims", "name.dims", "", "input[x].dims", "input[0].name.dims"] {
        assert_eq!(edited(NETWORK, &[set(path, "1")]), None, "{path}");
    }
    assert_eq!(edited(NETWORK, &[remove("backend")]), None);
    assert_eq!(edited(NETWORK, &[set("name", "\"a\""), set("name", "\"b\"")]), None);
    assert_eq!(edited("", &[set("name", "\"a\"")]), None);
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,200}", path in "[a-z_.\\[\\]0-9]{0,20}", line in 0..4_u32, column in 0..20_u32) {
        let rename = Edit::Rename { line, column, from: "a".to_owned(), to: "b".to_owned() };
        drop(edited(&text, &[set(&path, "1")]));
        drop(edited(&text, &[remove(&path), rename]));
    }

    #[test]
    fn damaged_configs_are_survived(cut in 0..NETWORK.len(), path in prop::sample::select(vec![
        "input[0].dims", "input[0].reshape", "instance_group[0].gpus", "output[1].dims", "max_batch_size", "name",
    ])) {
        drop(edited(&NETWORK[..cut], &[set(path, "1")]));
        drop(edited(&NETWORK[..cut], &[remove(path)]));
    }
}
