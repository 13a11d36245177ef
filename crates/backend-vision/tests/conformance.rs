//! Runs the conformance kit on the backend, with and without batches.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(dead_code, reason = "each test uses a part of the kit")]

mod kit;

use bytes::Bytes;
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_tensor::Shape;
use kit::{bmp, load, picture, strings};

const PIPELINE: &str = r#"
outputs = ["pixels", "size", "matrix", "planes"]

[[step]]
op = "decode"
input = "raw"
output = "picture"
size = "size"

[[step]]
op = "crop"
input = "picture"
output = "part"
width = 5
height = 4
left = 2
top = 1
matrix = { output = "matrix" }

[[step]]
op = "tensor"
input = "part"
output = "pixels"
data_type = "UINT8"
layout = "NHWC"

[[step]]
op = "tensor"
input = "part"
output = "planes"
"#;

/// The expected outputs of the images from `first` on, which have different sizes.
fn outputs(rows: usize, first: usize, batch: &[i64]) -> Vec<Option<(Shape, Bytes)>> {
    let (mut pixels, mut size, mut matrix, mut planes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in first..first + rows {
        let (width, height) = sides(number);
        let part = image::imageops::crop_imm(&picture(number, width, height), 2, 1, 5, 4).to_image();
        pixels.extend_from_slice(part.as_raw());
        size.extend([height, width].iter().flat_map(|side| (*side as i32).to_le_bytes()));
        matrix.extend([1f32, 0.0, 2.0, 0.0, 1.0, 1.0].iter().flat_map(|n| n.to_le_bytes()));
        for channel in 0..3 {
            planes.extend(part.pixels().flat_map(|pixel| f32::from(pixel.0[channel]).to_le_bytes()));
        }
    }
    let output = |dims: &[i64], data: Vec<u8>| {
        Some((batch.iter().chain(dims).copied().collect::<Shape>(), Bytes::from(data)))
    };
    vec![output(&[4, 5, 3], pixels), output(&[2], size), output(&[2, 3], matrix), output(&[3, 4, 5], planes)]
}

fn sides(number: usize) -> (u32, u32) {
    (8 + number as u32 % 5, 6 + number as u32 % 3)
}

fn pictures(rows: usize, first: usize) -> Vec<Vec<u8>> {
    let one = |number: usize| bmp(number, sides(number).0, sides(number).1);
    (first..first + rows).map(one).collect()
}

#[test]
fn with_a_batch_dimension() {
    let model = load("max_batch_size: 6", PIPELINE).unwrap();
    let example = |n: usize, rows: usize| Example {
        inputs: vec![Some(strings(&[rows as i64, 1], &pictures(rows, 10 * n)))],
        responses: vec![outputs(rows, 10 * n, &[rows as i64])],
    };
    let mut subject = Subject::new(&model.model, model.config.clone(), model.interface.clone(), &example);
    subject.failing = Some(vec![Some(strings(&[1, 1], &["this is no picture"]))]);
    subject.verify();
}

#[test]
fn without_a_batch_dimension() {
    let config = r#"
        input { name: "raw" data_type: TYPE_STRING dims: 1 }
        output { name: "pixels" data_type: TYPE_UINT8 dims: [ 4, 5, 3 ] }
        output { name: "size" data_type: TYPE_INT32 dims: 2 }
        output { name: "matrix" data_type: TYPE_FP32 dims: [ 2, 3 ] }
        output { name: "planes" data_type: TYPE_FP32 dims: [ 3, 4, 5 ] }"#;
    let model = load(config, PIPELINE).unwrap();
    let example = |n: usize, _: usize| Example {
        inputs: vec![Some(strings(&[1], &pictures(1, n)))],
        responses: vec![outputs(1, n, &[])],
    };
    let mut subject = Subject::new(&model.model, model.config.clone(), model.interface.clone(), &example);
    subject.failing = Some(vec![Some(strings(&[1], &[&bmp(1, 4, 4)]))]);
    subject.verify();
}
