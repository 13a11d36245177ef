use super::*;

/// A protobuf field that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(number < 16 && content.len() < 128, "one byte each");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn tensor(location: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    [
        field(9, b"raw"),
        field(13, &entry("offset", "8")),
        field(13, &entry("location", location)),
        vec![14 << 3, 1],
    ]
    .concat()
}

fn names_in(model: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model).unwrap();
    names(&path).into_iter().collect()
}

#[test]
fn finds_the_files_of_initializers_constants_and_graphs_within() {
    let constant = field(5, &field(5, &tensor("constant")));
    let inner = field(5, &field(6, &field(5, &tensor("inner"))));
    let graph = [
        field(1, &constant),
        field(1, &inner),
        field(5, &tensor("weights")),
        field(5, &tensor("weights")),
        field(15, &field(1, &tensor("sparse"))),
    ]
    .concat();
    // The graph's length needs two bytes.
    let model = [&[7 << 3 | 2, graph.len() as u8 | 0x80, (graph.len() >> 7) as u8][..], &graph].concat();
    assert_eq!(names_in(&model), ["constant", "inner", "sparse", "weights"]);
}

#[test]
fn names_behind_a_group_are_found() {
    let inner = [&[2 << 3 | 3, 1 << 3, 5][..], &field(7, b"text"), &[2 << 3 | 4]].concat();
    let group =
        [&[9 << 3 | 3][..], &inner, &[3 << 3 | 1], &[0; 8], &[4 << 3 | 5], &[0; 4], &[9 << 3 | 4]].concat();
    let graph = [group.clone(), field(5, &tensor("weights"))].concat();
    assert_eq!(names_in(&[group.clone(), field(7, &graph)].concat()), ["weights"]);

    let model = field(7, &field(5, &tensor("weights")));
    let endless = [9 << 3 | 3].repeat(9999);
    for bad in
        [&[9 << 3 | 3][..], &[9 << 3 | 3, 8 << 3 | 4], &[9 << 3 | 4], &group[..group.len() - 1], &endless]
    {
        assert_eq!(names_in(&[bad, &model].concat()), [""; 0]);
    }
}

#[test]
fn bytes_that_are_no_model_name_no_files() {
    let whole = field(7, &field(5, &tensor("weights")));
    assert_eq!(names_in(&whole), ["weights"]);
    for end in 0..whole.len() - 3 {
        assert_eq!(names_in(&whole[..end]), [""; 0], "cut at {end}");
    }
    let lengths = [&[7 << 3 | 2][..], &[0xff; 9], &[1]].concat();
    let deep: Vec<u8> =
        [7 << 3 | 2, 0xff, 0xff, 3].into_iter().chain([1 << 3 | 2, 0x7f].repeat(999)).collect();
    for bytes in [&b"not a model"[..], &[0xff; 100], &lengths, &deep] {
        assert_eq!(names_in(bytes), [""; 0]);
    }
    // No field has the number 0. What was allocated for a download and not written is zeros, gigabytes of them.
    assert_eq!(names_in(&[&[0; 2], &whole[..]].concat()), [""; 0], "the walk ends at the first zero");
}

#[test]
fn a_name_is_believed_if_it_stays_beside_the_model() {
    for name in ["w", "./w", "sub/w.bin", "w..bin"] {
        assert!(is_beside(name), "{name}");
    }
    for name in ["", "../w", "sub/../../w", "/etc/passwd", "w\0"] {
        assert!(!is_beside(name), "{name}");
    }
}

#[test]
fn no_more_is_read_than_the_machine_can_give() {
    // A sparse file, larger than any machine's memory.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    std::fs::File::create(&path).unwrap().set_len(1 << 43).unwrap();
    let error = content("m", &path).unwrap_err();
    assert!(error.message().contains("8796093022208 bytes, expected at most"), "{error}");
}

#[test]
fn weights_beside_what_a_link_leads_to_are_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at("m/1")).unwrap();
    std::fs::create_dir_all(at("store")).unwrap();
    std::fs::write(at("store/net.onnx"), field(7, &field(5, &tensor("weights.bin")))).unwrap();
    std::os::unix::fs::symlink("../../store/net.onnx", at("m/1/model.onnx")).unwrap();
    let read = || read("m", &at("m/1/model.onnx"));
    assert_eq!(read().unwrap(), [], "a file that is nowhere is left to the engine");
    std::fs::write(at("store/weights.bin"), "12345678").unwrap();
    let error = read().unwrap_err();
    let text = error.message();
    let ends = "/m/1/model.onnx' is a link, and they lie beside what it leads to, as '";
    assert!(text.starts_with("unable to load model 'm', its weights were expected in '"), "{text}");
    assert!(text.contains(ends) && text.ends_with("; link them as well, or the folder"), "{text}");
    std::os::unix::fs::symlink("../../store/weights.bin", at("m/1/weights.bin")).unwrap();
    assert_eq!(read().unwrap(), [("weights.bin".into(), b"12345678".to_vec())]);
}
