//! What is read from a request.

use std::time::Duration;

use bytes::Bytes;
use hippocamp_backend::{CorrelationId, ParameterValue, Sequence};
use hippocamp_tensor::{BytesElements, DataType};

use super::super::{Content, Place};
use super::{one_input, parse, typed};

fn content(json: &str) -> Bytes {
    let mut request = parse(json).unwrap();
    match request.inputs.remove(0).content {
        Content::Json(data) => data,
        other => panic!("{other:?}"),
    }
}

fn floats(json: &str) -> Vec<f32> {
    content(json).as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn a_byte_order_mark_in_front_is_no_part_of_the_text() {
    let inputs = r#"{"inputs":[{"name":"A","datatype":"FP32","shape":[2],"data":[1,2]}]}"#;
    assert_eq!(floats(&format!("\u{feff}{inputs}")), [1.0, 2.0]);
    assert_eq!(floats(&format!("\u{feff}\r\n{inputs}")), [1.0, 2.0]);
}

#[test]
fn everything_that_a_request_can_have() {
    let request = parse(
        r#" { "id" : "r1", "unknown": [{}, [], null, -1.5e3], "inputs":[
              {"name":"A","datatype":"INT32","shape":[1,2],"data":[[1],[-2]],"more":{}},
              {"name":"B","datatype":"FP32","shape":[3],"parameters":{"binary_data_size":12,"x":1}},
              {"name":"C","datatype":"FOO","shape":[],"parameters":{"shared_memory_region":"r",
               "shared_memory_byte_size":4,"shared_memory_offset":0}}],
            "outputs":[{"name":"X"},{"name":"Y","parameters":{"binary_data":true,"classification":3}}]} "#,
    )
    .unwrap();
    assert_eq!(request.id, "r1");
    let [inline, behind, shared] = request.inputs.as_slice() else { panic!("three inputs") };
    assert_eq!(
        (&*inline.name, inline.data_type, &inline.shape[..]),
        ("A", Some(DataType::Int32), &[1, 2][..])
    );
    assert!(
        matches!(&inline.content, Content::Json(data) if data[..] == [1, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF])
    );
    assert!(matches!(behind.content, Content::Binary(12)));
    assert_eq!(shared.data_type, None);
    let place = Place { region: "r".into(), offset: 0, byte_size: 4 };
    assert!(matches!(&shared.content, Content::SharedMemory(in_region) if *in_region == place));
    let [plain, best] = request.outputs.as_slice() else { panic!("two outputs") };
    assert_eq!((&*plain.name, plain.binary, plain.classes), ("X", None, 0));
    assert_eq!((&*best.name, best.binary, best.classes), ("Y", Some(true), 3));
}

#[test]
fn members_come_in_any_order() {
    let first = content(&typed("INT16", "[2]", "[1,2]"));
    for json in [
        r#"{"inputs":[{"data":[1,2],"datatype":"INT16","shape":[2],"name":"I"}]}"#,
        r#"{"inputs":[{"datatype":"INT16","data":[[1],[2]],"shape":[2],"name":"I"}]}"#,
        r#"{"inputs":[{"shape":[2],"data":[1,2],"name":"I","datatype":"INT16"}]}"#,
    ] {
        assert_eq!(content(json), first);
    }
}

#[test]
fn of_two_members_with_one_name_the_first_counts() {
    let json = r#"{"id":"a","id":7,"inputs":[{"name":"I","name":7,"datatype":"INT8","shape":[1],"shape":"x",
                   "data":[1],"data":{}}],"inputs":3}"#;
    assert_eq!(parse(json).unwrap().id, "a");
    assert_eq!(content(json)[..], [1]);
}

#[test]
fn numbers_of_every_kind() {
    assert_eq!(
        floats(&typed("FP32", "[8]", "[0.1,1,-2.5,1e-20,3.4e38,16777217,1e10,0.3]")),
        [0.1, 1.0, -2.5, 1e-20, 3.4e38, 16_777_216.0, 1e10, 0.3]
    );
    let special = floats(&typed("FP32", "[6]", "[NaN,Infinity,-Infinity,Inf,-NaN,1e39]"));
    assert!(special[0].is_nan() && special[4].is_nan());
    // The last is too large for 32 bits, as in Triton.
    assert_eq!(special[1..4], [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]);
    assert_eq!(special[5..], [f32::INFINITY]);
    let doubles = content(&typed("FP64", "[4]", "[0.1,1e+300,-0.0,0.3333333333333333]"));
    assert_eq!(doubles, [0.1f64, 1e300, -0.0, 0.333_333_333_333_333_3].map(f64::to_le_bytes).concat());
    let long = content(&typed("INT64", "[3]", "[-9223372036854775808,9223372036854775807,-0]"));
    assert_eq!(long, [i64::MIN, i64::MAX, 0].map(i64::to_le_bytes).concat());
    let unsigned = content(&typed("UINT64", "[2]", "[0,18446744073709551615]"));
    assert_eq!(unsigned, [0, u64::MAX].map(u64::to_le_bytes).concat());
    assert_eq!(content(&typed("BOOL", "[3]", "[true,false,true]"))[..], [1, 0, 1]);
}

#[test]
fn floats_are_rounded_like_rust_rounds_them() {
    for text in [
        "0.1",
        "123456.789e-3",
        "9007199254740993",
        "9007199254740993.0",
        "1.7976931348623157e308",
        "5e-324",
        "2.2250738585072011e-308",
        "0.000000000000000000000000000000000001",
        "1e23",
        "8.5e22",
        "0.10000000149011612",
        "4503599627370496.5",
        "0e999",
        "123456789012345678901234567890",
    ] {
        let got = content(&typed("FP64", "[1]", &format!("[{text}]")));
        let expected: f64 = text.parse().unwrap();
        assert_eq!(got, expected.to_le_bytes()[..], "{text}");
    }
}

#[test]
fn strings_with_escapes_and_with_any_bytes() {
    let elements = |data: &[u8]| -> Vec<Vec<u8>> {
        BytesElements::new(data).map(|element| element.unwrap().to_vec()).collect()
    };
    let data = content(&typed("BYTES", "[4]", r#"["hello","","w\"o\\r\/\nld \u00e9","\ud83d\ude00\u0000"]"#));
    let expected = ["hello", "", "w\"o\\r/\nld é", "😀\0"].map(|s| s.as_bytes().to_vec());
    assert_eq!(elements(&data), expected);
    let mut json = typed("BYTES", "[1]", "[").into_bytes();
    json.truncate(json.len() - 3);
    json.extend_from_slice(b"\"\xFF\xFE\"]}]}");
    let request = super::parse_infer(&json, super::MAX).unwrap();
    assert!(matches!(&request.inputs[0].content, Content::Json(data) if elements(data) == [b"\xFF\xFE"]));
}

#[test]
fn a_shape_without_elements_has_no_data_whatever_is_written() {
    for data in ["[]", "[[]]", "[1,2]", "7"] {
        assert!(content(&typed("FP32", "[2,0]", data)).is_empty());
    }
    // It is refused when its shape is held against the model's.
    assert!(content(&typed("FP32", "[4611686018427387904,4]", "[1]")).is_empty());
}

#[test]
fn bytes_elements_are_counted_by_whoever_checks_them() {
    assert_eq!(content(&typed("BYTES", "[3]", r#"["a"]"#)).len(), 5);
    assert_eq!(content(&typed("BYTES", "[9223372036854775807]", r#"["a"]"#)).len(), 5);
}

#[test]
fn a_nul_byte_ends_the_text() {
    let json = format!("{}  \0\u{1}junk", typed("INT8", "[1]", "[1]"));
    assert_eq!(content(&json)[..], [1]);
}

#[test]
fn parameters() {
    let with = |parameters: &str| format!(r#"{{"inputs":[],"parameters":{parameters}}}"#);
    let json = with(
        r#"{"priority":2,"timeout":1500,"binary_data_output":true,"sequence_id":7,"sequence_start":true,
            "sequence_end":false,"a":1,"b":"x","c":true,"d":1.5,"e":-3,"f":18446744073709551615}"#,
    );
    let parameters = parse(&json).unwrap().parameters;
    assert_eq!((parameters.priority, parameters.timeout), (2, Some(Duration::from_micros(1500))));
    assert!(parameters.binary_data_output);
    let correlation_id = CorrelationId::Number(7);
    assert_eq!(parameters.sequence, Some(Sequence { correlation_id, start: true, end: false }));
    let custom: Vec<_> =
        parameters.custom.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    assert_eq!(
        custom,
        [
            ("a".to_owned(), ParameterValue::Int64(1)),
            ("b".to_owned(), ParameterValue::String("x".into())),
            ("c".to_owned(), ParameterValue::Bool(true)),
            ("d".to_owned(), ParameterValue::Double(1.5)),
            ("e".to_owned(), ParameterValue::Int64(-3)),
            ("f".to_owned(), ParameterValue::Uint64(u64::MAX)),
        ]
    );
    let text = parse(&with(r#"{"sequence_id":"abc"}"#)).unwrap().parameters.sequence.unwrap();
    assert_eq!(text.correlation_id, CorrelationId::Text("abc".into()));
    for none in [r#"{"sequence_id":0}"#, r#"{"sequence_id":""}"#, r#"{"sequence_start":true}"#] {
        assert_eq!(parse(&with(none)).unwrap().parameters.sequence, None);
    }
    assert_eq!(parse(&with(r#"{"timeout":0}"#)).unwrap().parameters.timeout, None);
}

#[test]
fn names_are_borrowed() {
    let json = one_input(r#","shape":[1],"datatype":"INT8","data":[1]"#);
    let request = parse(&json).unwrap();
    assert_eq!(request.inputs[0].name.as_ptr(), json[20..].as_ptr());
}
