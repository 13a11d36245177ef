//! Tests which tensors the command line's values become.

use std::fs;

use super::*;

fn metadata(inputs: &[(&str, DataType, &[i64])]) -> Metadata {
    let info = |&(name, data_type, shape): &(&str, DataType, &[i64])| TensorInfo {
        name: name.to_owned(),
        data_type,
        shape: shape.to_vec(),
    };
    Metadata { inputs: inputs.iter().map(info).collect(), outputs: Vec::new() }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn shape_of(model: &Metadata, values: &[&str], shapes: &[&str]) -> Result<Vec<i64>> {
    inputs(model, &strings(values), &strings(shapes)).map(|inputs| inputs.tensors[0].shape.clone())
}

#[test]
fn the_shape_follows_from_the_value() {
    let cases: [(&[i64], &str, &[i64]); 6] = [
        (&[-1, 4], "X=1,2,3,4", &[1, 4]),
        (&[-1, 2], "X=1,2,3,4", &[2, 2]),
        (&[4], "X=1 2 3 4", &[4]),
        (&[-1], "X=1,2,3", &[3]),
        (&[-1, -1], "X=1,2,3", &[1, 3]),
        (&[-1, 2, -1], "X=1,2,3,4", &[1, 2, 2]),
    ];
    for (shape, value, want) in cases {
        let model = metadata(&[("X", DataType::Int32, shape)]);
        assert_eq!(shape_of(&model, &[value], &[]).unwrap(), want, "{shape:?} {value}");
    }
    let model = metadata(&[("X", DataType::Int32, &[-1, 2, -1, -1])]);
    let failure = shape_of(&model, &["X=1,2"], &[]).unwrap_err().to_string();
    assert!(failure.ends_with("say it by --shape X=SIZE,SIZE,..."), "{failure}");
    assert_eq!(shape_of(&model, &["X=1,2"], &["X=2,1,1"]).unwrap(), [1, 2, 1, 1]);
    assert_eq!(shape_of(&model, &["X=1,2"], &["X=[1,2,1,1]"]).unwrap(), [1, 2, 1, 1]);
}

#[test]
fn what_does_not_fit_is_reported() {
    let model = metadata(&[("X", DataType::Int32, &[-1, 4]), ("Y", DataType::Bytes, &[-1, 1])]);
    let failure =
        |values: &[&str], shapes: &[&str]| shape_of(&model, values, shapes).unwrap_err().to_string();
    assert_eq!(failure(&["X=1,2,3"], &[]), "input 'X' of shape [1,4] takes 4 elements, got 3");
    assert_eq!(failure(&["X=1,two"], &[]), "input 'X': 'two' is not of type INT32");
    assert_eq!(
        failure(&["Z=1"], &[]),
        "the model has no input 'Z'; it has:\n  X (INT32 [-1,4])\n  Y (BYTES [-1,1])"
    );
    assert!(failure(&["@file"], &[]).starts_with("the model has no input '@file'"));
    assert!(failure(&[], &[]).starts_with("give the model's inputs by --input NAME=VALUE"));
    assert_eq!(failure(&["X=1"], &["X=3,5"]), "input 'X' has shape [-1,4], got [3,5]");
    assert_eq!(failure(&["X=1"], &["X"]), "--shape 'X' was expected to be NAME=SIZE,SIZE,...");
    let colon =
        inputs(&metadata(&[("X", DataType::Fp32, &[-1, -1])]), &strings(&["X=1,2"]), &strings(&["X:2,1"]));
    assert_eq!(colon.unwrap().tensors[0].shape, [2, 1], "as perf_analyzer takes it");
    assert!(failure(&["X=1"], &["Q=1"]).starts_with("--shape: the model has no input 'Q'"));
    assert!(failure(&["X=@/no/such/file"], &[]).starts_with("/no/such/file cannot be read"));
}

#[test]
fn files_by_type_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let only = |data_type, shape: &[i64], path: &str| {
        let model = metadata(&[("X", data_type, shape)]);
        inputs(&model, &[format!("@{path}")], &[]).map(|inputs| (inputs.tensors[0].clone(), inputs.file))
    };
    let picture = write("a.jpg", b"\xff\xd8");
    let (tensor, file) = only(DataType::Bytes, &[-1, 1], &picture).unwrap();
    assert_eq!((&tensor.shape[..], &tensor.data[..]), (&[1, 1][..], &b"\x02\0\0\0\xff\xd8"[..]));
    assert_eq!(file.unwrap(), b"\xff\xd8"[..]);
    assert_eq!(only(DataType::Uint8, &[-1], &picture).unwrap().0.shape, [2]);
    let refused = only(DataType::Fp32, &[-1], &picture).unwrap_err().to_string();
    assert!(refused.ends_with("name a tensor's bytes FILE.raw, or use .npy"), "{refused}");
    let raw = write("a.raw", &[0, 0, 0x80, 0x3f]);
    assert_eq!(only(DataType::Fp32, &[-1], &raw).unwrap().0.data.len(), 4);
    assert!(only(DataType::Fp64, &[-1], &raw).unwrap_err().to_string().contains("no whole number of FP64"));
    let text = write("a.txt", b"1, 2\n3");
    assert_eq!(only(DataType::Fp32, &[-1], &text).unwrap().0.shape, [3]);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
    let npy =
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
    let npy = write("a.npy", &npy);
    assert_eq!(only(DataType::Fp32, &[-1, -1, -1], &npy).unwrap().0.shape, [1, 2, 1]);
    let wrong = only(DataType::Int32, &[-1], &npy).unwrap_err().to_string();
    assert!(wrong.ends_with("holds FP32, input 'X' takes INT32; convert it"), "{wrong}");
}

#[test]
fn the_same_input_again_makes_a_batch() {
    let model = metadata(&[("Y", DataType::Bytes, &[-1, 1]), ("X", DataType::Int32, &[-1, 2])]);
    let got = inputs(&model, &strings(&["X=1,2", "Y=ab", "X=3,4", "Y=c"]), &[]).unwrap();
    assert_eq!(got.tensors[0].name, "Y", "in the model's order");
    assert_eq!(
        (&got.tensors[0].shape[..], &got.tensors[0].data[..]),
        (&[2, 1][..], &b"\x02\0\0\0ab\x01\0\0\0c"[..])
    );
    assert_eq!(got.tensors[1].shape, [2, 2]);
    let uneven = inputs(&metadata(&[("X", DataType::Int32, &[1, -1])]), &strings(&["X=1,2", "X=3"]), &[]);
    assert!(uneven.unwrap_err().to_string().contains("to have the same shape"));
}

#[test]
fn names_may_hold_an_equals_sign() {
    let model = metadata(&[("a", DataType::Bytes, &[1]), ("a=b", DataType::Bytes, &[1])]);
    let got = inputs(&model, &strings(&["a=b=c"]), &[]).unwrap();
    assert_eq!((got.tensors[0].name.as_str(), &got.tensors[0].data[4..]), ("a=b", &b"c"[..]));
}

#[test]
fn parameters_have_the_type_that_they_look_like() {
    let value = |text: &str| parameter(text).unwrap().1;
    assert_eq!(value("k=true"), Parameter::Bool(true));
    assert_eq!(value("k=-3"), Parameter::Int(-3));
    assert_eq!(value("k=0.5"), Parameter::Double(0.5));
    assert_eq!(value("k=a=b"), Parameter::String("a=b".to_owned()));
    assert!(parameter("k").is_err());
}

#[test]
fn texts_are_one_or_as_many_as_the_shape_wants() {
    let texts = |shape: &[i64]| {
        let got = inputs(&metadata(&[("X", DataType::Bytes, shape)]), &strings(&["X=a, b"]), &[]);
        got.map(|inputs| (inputs.tensors[0].shape.clone(), inputs.tensors[0].data.len()))
    };
    assert_eq!(texts(&[-1, 1]).unwrap(), (vec![1, 1], 8));
    assert_eq!(texts(&[-1, 2]).unwrap(), (vec![1, 2], 10));
    assert_eq!(texts(&[3]).unwrap_err().to_string(), "input 'X' of shape [3] takes 3 elements, got 2");
}
