//! Inputs, and what is measured.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use hippocamp_backend::{InputTensor, Response};
use hippocamp_backend_onnxruntime::write_metrics;
use hippocamp_metrics::Page;
use hippocamp_model_config::Interface;
use hippocamp_tensor::{DataType, Shape};

/// A picture of noise.
#[expect(clippy::unnecessary_wraps, reason = "an input of a list whose inputs may be missing")]
pub(crate) fn picture(rows: usize, side: usize, seed: u64) -> Option<InputTensor> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let length = rows * 3 * side * side * 4;
    // Repeated, because this is also built without optimisation.
    let mut piece = Vec::new();
    while piece.len() < 40_036 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        piece.extend_from_slice(&((state >> 40) as f32 / 65793.0).to_le_bytes());
    }
    let mut bytes = piece.repeat(length.div_ceil(piece.len()));
    bytes.truncate(length);
    let shape = Shape::from([rows as i64, 3, side as i64, side as i64]);
    Some(InputTensor { shape, data: Bytes::from(bytes).into() })
}

/// Small numbers for every input.
pub(crate) fn some_inputs(interface: &Interface, rows: usize) -> Vec<Option<InputTensor>> {
    let input = |spec: &hippocamp_model_config::TensorSpec| {
        let dims: Shape = spec.dims.iter().map(|size| if *size < 0 { 16 } else { *size }).collect();
        let shape = if interface.max_batch_size > 0 { dims.with_batch(rows as i64) } else { dims };
        let count = shape.element_count().unwrap_or(0);
        let mut bytes = Vec::new();
        for n in 0..count {
            match spec.data_type {
                DataType::Fp32 => bytes.extend_from_slice(&((n % 17) as f32 / 17.0).to_le_bytes()),
                DataType::Int64 => bytes.extend_from_slice(&(1 + n as i64 % 7).to_le_bytes()),
                DataType::Int32 => bytes.extend_from_slice(&(n as i32 % 256).to_le_bytes()),
                other => bytes.extend(vec![0; other.byte_size().unwrap_or(0)]),
            }
        }
        Some(InputTensor { shape, data: Bytes::from(bytes).into() })
    };
    interface.inputs.iter().map(input).collect()
}

/// The largest difference of each output of FP32, relative to 1 or to the value.
pub(crate) fn differences(got: &Response, expected: &Response) -> Vec<f32> {
    let floats = |data: &Bytes| -> Vec<f32> {
        data.chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect()
    };
    let pairs = got.outputs.iter().zip(&expected.outputs);
    pairs
        .map(|(got, expected)| {
            if got.shape != expected.shape {
                return f32::INFINITY;
            }
            let (got, expected) = (got.data.to_host().unwrap(), expected.data.to_host().unwrap());
            let pairs = floats(&got).into_iter().zip(floats(&expected));
            pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
        })
        .collect()
}

pub(crate) fn metrics() -> String {
    let mut page = Page::default();
    write_metrics(&mut page);
    page.into_text().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The used memory of the first GPU in MB, of all processes.
pub(crate) fn used() -> i64 {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.trim().parse().unwrap_or(-1)
}

/// The resident memory of this process in MB.
pub(crate) fn resident() -> i64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<i64>().ok()).unwrap_or(0) / 256
}
