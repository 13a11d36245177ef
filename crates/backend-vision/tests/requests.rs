//! Unusual requests: invalid images in batches, shapes of older configs, and configs that contradict the pipeline.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(dead_code, reason = "each test uses a part of the kit")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{Code, InputTensor, ParameterValue};
use hippocamp_tensor::Shape;
use kit::{bmp, floats, load, picture, refused, strings};

const SIZES: &str = r#"
[[step]]
op = "decode"
input = "raw"
output = "picture"
size = "size"

[[step]]
op = "letterbox"
input = "picture"
output = "fitted"
width = 8
height = 4

[[step]]
op = "tensor"
input = "fitted"
output = "image"
"#;

#[test]
fn a_bad_picture_fails_its_own_request_and_no_other() {
    let model = load("max_batch_size: 8", SIZES).unwrap();
    let good = |number: usize| strings(&[1, 1], &[bmp(number, 9, 5)]);
    let bad = strings(&[3, 1], &[bmp(0, 4, 4), b"bad".to_vec(), bmp(1, 4, 4)]);
    let (answers, counters) = model.run(&[vec![good(1)], vec![bad], vec![good(2)]]);
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.code(), Code::InvalidArg);
    assert_eq!(
        error.message(),
        "model 'm', picture 2 of 3, step 1 'decode': JPEG, PNG, WebP or BMP was expected, got 3 bytes that begin with 'bad'"
    );
    for (number, answer) in [(1u8, &answers[0]), (2, &answers[2])] {
        let response = answer.as_ref().unwrap();
        // The last channel tells which image it is, inside of the border.
        let blue: Vec<u8> = floats(&response.outputs[1].data.to_host().unwrap())[64..]
            .iter()
            .map(|sample| *sample as u8)
            .collect();
        assert!(blue.iter().all(|sample| [0, number].contains(sample)), "{blue:?}");
        assert!(blue.contains(&number));
    }
    assert_eq!((counters.success.count, counters.fail.count), (2, 1));
    assert_eq!((counters.execution_count, counters.inference_count), (1, 2));
}

#[test]
fn the_response_tells_which_pictures_a_black_one_stands_in_for() {
    let pipeline = SIZES.replacen("size = \"size\"", "size = \"size\"\non_error = \"black\"", 1);
    let model = load("max_batch_size: 8", &pipeline).unwrap();
    let mixed = strings(&[4, 1], &[b"bad".to_vec(), bmp(0, 4, 4), b"worse".to_vec(), bmp(1, 4, 4)]);
    let (answers, _) = model.run(&[vec![mixed], vec![strings(&[1, 1], &[bmp(2, 9, 5)])]]);
    let parameters = &answers[0].as_ref().unwrap().parameters;
    let text = |name: &str| match parameters.get(name) {
        Some(ParameterValue::String(text)) => text.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(text("replaced_pictures"), "0,2");
    assert_eq!(
        text("replaced_pictures_reason"),
        "JPEG, PNG, WebP or BMP was expected, got 3 bytes that begin with 'bad'"
    );
    assert!(answers[1].as_ref().unwrap().parameters.is_empty(), "nothing was replaced there");
}

#[test]
fn an_execution_in_which_all_fail_counts_as_none() {
    let model = load("max_batch_size: 8", SIZES).unwrap();
    let (_, counters) = model.run(&[vec![strings(&[1, 1], &["bad"])]]);
    assert_eq!((counters.fail.count, counters.execution_count), (1, 0));
}

#[test]
fn the_config_may_be_left_out() {
    let model = load("", SIZES).unwrap();
    let interface = &model.interface;
    assert_eq!(interface.max_batch_size, 4);
    assert_eq!((&*interface.inputs[0].name, &interface.inputs[0].dims), ("raw", &Shape::from([1])));
    let outputs: Vec<_> = interface.outputs.iter().map(|o| (&*o.name, o.dims.clone())).collect();
    assert_eq!(outputs, [("size", Shape::from([2])), ("image", Shape::from([3, 4, 8]))]);
    assert!(model.config.scheduling_choice.is_some(), "the batcher is on");
}

const LISTED: &str = r#"
    input { name: "raw" data_type: TYPE_STRING dims: 1 }
    output { name: "image" data_type: TYPE_FP32 dims: [ 1, 3, 4, 8 ] }
    output { name: "size" data_type: TYPE_INT32 dims: 2 }"#;

#[test]
fn dims_may_hold_a_batch_of_1_where_there_is_no_batch_dimension() {
    let model = load(LISTED, SIZES).unwrap();
    assert_eq!(model.interface.max_batch_size, 0);
    let outputs = model.outputs(vec![strings(&[1], &[bmp(0, 9, 5)])]);
    assert_eq!(outputs[0].0, Shape::from([1, 3, 4, 8]));
    assert_eq!((&outputs[1].0, &outputs[1].1[..]), (&Shape::from([2]), &[5, 0, 0, 0, 9, 0, 0, 0][..]));
    let all = LISTED.replace("dims: 1 }", "dims: [ 1, 1 ] }");
    let outputs = load(&all, SIZES).unwrap().outputs(vec![strings(&[1, 1], &[bmp(0, 9, 5)])]);
    assert_eq!(outputs[0].0, Shape::from([1, 3, 4, 8]));
}

#[test]
fn reshape_changes_what_clients_see() {
    let config = r#"
        max_batch_size: 4
        input { name: "raw" data_type: TYPE_STRING dims: 1 }
        output { name: "image" data_type: TYPE_FP32 dims: [ 1, 96 ] reshape { shape: [ 3, 4, 8 ] } }"#;
    let outputs = load(config, SIZES).unwrap().outputs(vec![strings(&[2, 1], &[bmp(0, 9, 5), bmp(1, 3, 3)])]);
    assert_eq!((outputs[0].0.clone(), outputs[0].1.len()), (Shape::from([2, 1, 96]), 2 * 96 * 4));
}

#[test]
fn any_value_can_be_an_output() {
    let config = "output { name: \"fitted\" } output { name: \"picture\" }";
    let outputs = load(config, SIZES).unwrap().outputs(vec![strings(&[1, 1], &[bmp(3, 9, 5)])]);
    assert_eq!(outputs[0].0, Shape::from([1, 4, 8, 3]));
    assert_eq!(
        (&outputs[1].0, &outputs[1].1[..]),
        (&Shape::from([1, 5, 9, 3]), &picture(3, 9, 5).as_raw()[..])
    );
}

#[test]
fn a_declared_size_is_held_against_the_picture() {
    let config = "max_batch_size: 2 output { name: \"picture\" data_type: TYPE_UINT8 dims: [ 5, 9, 3 ] }";
    let model = load(config, SIZES).unwrap();
    assert_eq!(model.outputs(vec![strings(&[1, 1], &[bmp(3, 9, 5)])])[0].0, Shape::from([1, 5, 9, 3]));
    assert_eq!(
        model.error(vec![strings(&[1, 1], &[bmp(3, 9, 6)])]),
        "Invalid argument: model 'm', output 'picture': it is declared with the shape [5,9,3], this picture gives [6,9,3]"
    );
}

const RAW_PIXELS: &str = r#"
[[step]]
op = "warp"
input = "pixels"
output = "warped"
width = 2
height = 1
transform = "map"

[[step]]
op = "tensor"
input = "warped"
output = "image"
data_type = "UINT8"
layout = "NHWC"
color = "bgr"
"#;

fn numbers(shape: &[i64], numbers: &[f32]) -> InputTensor {
    let data: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    InputTensor { shape: Shape::from(shape), data: Bytes::from(data).into() }
}

#[test]
fn pictures_and_matrices_may_come_as_tensors() {
    let model = load("", RAW_PIXELS).unwrap();
    let pixels = InputTensor {
        shape: Shape::from([1, 1, 3, 3]),
        data: Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).into(),
    };
    let shift = numbers(&[1, 2, 3], &[1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
    let outputs = model.outputs(vec![pixels.clone(), shift]);
    assert_eq!(outputs[0].1[..], [6, 5, 4, 9, 8, 7]);
    let flat = numbers(&[1, 2, 3], &[0.0; 6]);
    assert!(model.error(vec![pixels.clone(), flat]).contains("step 1 'warp': the matrix [0.0, 0.0"));
    let unreal = numbers(&[1, 2, 3], &[f32::NAN; 6]);
    assert!(model.error(vec![pixels, unreal]).contains("has no inverse"));
    let empty = InputTensor { shape: Shape::from([1, 0, 3, 3]), data: Bytes::new().into() };
    let shift = numbers(&[1, 2, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(model.error(vec![empty, shift]).contains("a picture has at least one pixel, got shape [0,3,3]"));
}

#[test]
fn a_map_far_away_gives_the_border() {
    let model = load("", RAW_PIXELS).unwrap();
    let pixels =
        InputTensor { shape: Shape::from([1, 1, 1, 3]), data: Bytes::from_static(&[1, 2, 3]).into() };
    for far in [1e30, -1e30, 3e9] {
        let map = numbers(&[1, 2, 3], &[1.0, 0.0, far, 0.0, 1.0, far]);
        assert_eq!(model.outputs(vec![pixels.clone(), map])[0].1[..], [0; 6]);
    }
}

#[test]
fn configs_that_contradict_the_pipeline_are_refused_with_all_faults() {
    let config = r#"
        max_batch_size: 2
        input { name: "raw" data_type: TYPE_UINT8 dims: 1 }
        output { name: "image" data_type: TYPE_FP32 dims: [ 3, 4, 9 ] }"#;
    let text = refused(config, SIZES);
    assert!(text.starts_with("Invalid argument: unable to load model 'm', "), "{text}");
    assert!(text.contains("'raw'") && text.contains("TYPE_UINT8") && text.contains("[-1,3,4,9]"), "{text}");
    let unknown = "output { name: \"nothing\" data_type: TYPE_FP32 dims: 1 }";
    assert!(refused(unknown, SIZES).contains("'nothing'"));
    let optional = "input { name: \"raw\" data_type: TYPE_STRING dims: 1 optional: true }";
    assert!(refused(optional, SIZES).contains("input 'raw' is optional, the pipeline needs every input"));
}
