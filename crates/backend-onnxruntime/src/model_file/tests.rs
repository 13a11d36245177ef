use super::*;

/// A protobuf field that holds bytes.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    assert!(number < 16 && content.len() < 128, "one byte each");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn read(content: &[u8]) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, content).unwrap();
    ModelFile::read(&path)
}

fn operators(file: &ModelFile) -> Vec<&str> {
    file.nodes.iter().map(|node| node.operator.as_str()).collect()
}

#[test]
fn nodes_are_found_in_graphs_within_and_in_functions() {
    let within = field(5, field(6, field(1, field(4, "Inner"))));
    let outer = [field(1, "x"), field(2, "y"), field(4, "If"), within, field(7, "own")].concat();
    let graph = [field(1, outer), field(5, field(8, "w")), field(11, field(1, "x"))].concat();
    // Field 25 has a tag of two bytes.
    let body = field(7, [field(1, "x"), field(4, "Body")].concat());
    let function = [&[25 << 3 & 0x7f | 0x80 | 2, 1, body.len() as u8][..], &body].concat();
    let model = [vec![1 << 3, 9], field(2, "me"), field(3, "1.0"), field(7, graph), function].concat();
    let file = read(&model);
    assert_eq!(operators(&file), ["Inner", "If", "Body"]);
    let [inner, outer, body] = file.nodes.as_slice() else { panic!("{file:?}") };
    assert!(outer.has_graphs && !inner.has_graphs && !outer.is_opaque && body.is_opaque);
    assert_eq!((outer.domain.as_str(), outer.inputs.as_slice()), ("own", ["x".to_owned()].as_slice()));
    assert_eq!((file.initializers, file.inputs), (vec!["w".to_owned()], vec!["x".to_owned()]));
    assert_eq!((file.ir_version, file.producer), (9, ("me".to_owned(), "1.0".to_owned())));
}

#[test]
fn the_declared_rank_of_an_output_is_the_number_of_its_dimensions() {
    let output = |name: &str, shape: Vec<u8>| {
        let kind = field(1, [vec![1 << 3, 1], shape].concat());
        field(12, [field(1, name), field(2, kind)].concat())
    };
    let graph = [
        output("two", field(2, [field(1, [1 << 3, 4]), field(1, [])].concat())),
        output("scalar", field(2, [])),
        output("any", Vec::new()),
    ]
    .concat();
    let ranks = read(&field(7, graph)).output_ranks;
    assert_eq!(ranks.into_iter().collect::<Vec<_>>(), [("scalar".to_owned(), 0), ("two".to_owned(), 2)]);
}

#[test]
fn what_was_read_before_a_fault_counts() {
    let whole = field(7, field(1, field(4, "Neg")));
    for end in 0..whole.len() {
        read(&whole[..end]);
    }
    assert_eq!(operators(&read(&[&whole[..], b"\xff\xff"].concat())), ["Neg"]);
    assert_eq!(read(b"not a model"), ModelFile::default());
}

#[test]
fn guarded_operators_are_found_in_the_engines_own_format() {
    let text = |text: &str| {
        let mut bytes = [&(text.len() as u32).to_le_bytes()[..], text.as_bytes(), &[0]].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let start = b"\x10\0\0\0ORTM".to_vec();
    let file = read(&[start.clone(), text("Neg"), text("GRUs"), text("GRU"), text("a LSTM")].concat());
    assert_eq!((file.is_ort_format, operators(&file)), (true, vec!["GRU"]));
    // Wherever a piece ends.
    for before in 0..16 {
        let far = vec![0; (1 << 20) - 8 * 4 + before * 4];
        let file = read(&[start.clone(), far, text("DynamicQuantizeLSTM"), vec![0; 100]].concat());
        assert_eq!(operators(&file), ["DynamicQuantizeLSTM"], "{before}");
    }
    assert_eq!(operators(&read(&start)), [""; 0]);
    assert!(!read(b"\x10\0\0\0ORT").is_ort_format);
}
