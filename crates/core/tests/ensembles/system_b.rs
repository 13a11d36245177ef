//! An ensemble as a tool for TensorRT Inference Server wrote it, with its configs as they are, GPUs included: a network whose batch of one
//! is in its shapes, reshaped, between steps that do not batch.

use std::sync::Arc;

use hippocamp_backend::{Backend, OutputTensor, Response};
use hippocamp_tensor::{DataType, Shape};
use smallvec::SmallVec;

use crate::kit::{Scripted, Server};

const PREPROCESS: &str = r#"
name: "detection-preprocess"
platform: "tensorflow_graphdef"
version_policy: { all { } }
max_batch_size: 0
input [
    { name: "raw_image", data_type: TYPE_STRING, dims: [1] }
]
output [
    { name: "process_img", data_type: TYPE_FP32, dims: [1, 3, 512, 512] },
    { name: "affine_trans_mat", data_type: TYPE_FP32, dims: [2, 3] }
]
instance_group [ { count: 2  kind: KIND_GPU  gpus: [0, 1, 2, 3] } ]
"#;

const NETWORK: &str = r#"
name: "detection-network"
platform: "tensorrt_plan"
version_policy: { all { } }
max_batch_size: 1
input [
    { name: "process_img", data_type: TYPE_FP32, dims: [1, 3, 512, 512], reshape: { shape: [3, 512, 512] } }
]
output [
    { name: "heatmap", data_type: TYPE_FP32, dims: [1, 1, 128, 128], reshape: { shape: [1, 128, 128] } },
    { name: "bbox_wh", data_type: TYPE_FP32, dims: [1, 2, 128, 128], reshape: { shape: [2, 128, 128] } },
    { name: "center_shift", data_type: TYPE_FP32, dims: [1, 2, 128, 128], reshape: { shape: [2, 128, 128] } }
]
instance_group [ { count: 2  kind: KIND_GPU  gpus: [0, 1, 2, 3] } ]
"#;

const POSTPROCESS: &str = r#"
name: "detection-postprocess"
platform: "onnxruntime_onnx"
version_policy: { all { } }
max_batch_size: 0
input [
    { name: "heatmap", data_type: TYPE_FP32, dims: [1, 1, 128, 128] },
    { name: "bbox_wh", data_type: TYPE_FP32, dims: [1, 2, 128, 128] },
    { name: "center_shift", data_type: TYPE_FP32, dims: [1, 2, 128, 128] },
    { name: "affine_trans_mat", data_type: TYPE_FP32, dims: [2, 3] }
]
output [
    { name: "score", data_type: TYPE_FP32, dims: [1, 100] },
    { name: "category", data_type: TYPE_INT32, dims: [1, 100] },
    { name: "bbox", data_type: TYPE_FP32, dims: [1, 100, 4] }
]
instance_group [ { count: 2  kind: KIND_GPU  gpus: [0, 1, 2, 3] } ]
"#;

const DETECTION: &str = r#"
name: "detection"
platform: "ensemble"
version_policy: { all { } }
max_batch_size: 0
input [ { name: "raw_image", data_type: TYPE_STRING, dims: [1] } ]
output [
    { name: "score", data_type: TYPE_FP32, dims: [1, 100] },
    { name: "category", data_type: TYPE_INT32, dims: [1, 100] },
    { name: "bbox", data_type: TYPE_FP32, dims: [1, 100, 4] }
]
ensemble_scheduling {
  step [
    {
      model_name: "detection-preprocess", model_version: 1,
      input_map { key: "raw_image", value: "raw_image" },
      output_map { key: "process_img", value: "process_img" },
      output_map { key: "affine_trans_mat", value: "affine_trans_mat" }
    },
    {
      model_name: "detection-network", model_version: 1,
      input_map { key: "process_img", value: "process_img" },
      output_map { key: "heatmap", value: "heatmap" },
      output_map { key: "bbox_wh", value: "bbox_wh" },
      output_map { key: "center_shift", value: "center_shift" }
    },
    {
      model_name: "detection-postprocess", model_version: 1,
      input_map { key: "heatmap", value: "heatmap" },
      input_map { key: "bbox_wh", value: "bbox_wh" },
      input_map { key: "center_shift", value: "center_shift" },
      input_map { key: "affine_trans_mat", value: "affine_trans_mat" },
      output_map { key: "score", value: "score" },
      output_map { key: "category", value: "category" },
      output_map { key: "bbox", value: "bbox" }
    }
  ]
}
"#;

/// Answers with zeros of the shapes in the config, behind a batch dimension if there is one.
fn zeros(name: &'static str) -> Arc<dyn Backend> {
    Scripted::backend(name, |here, request| {
        let batches = here.interface.max_batch_size > 0;
        for (spec, input) in here.interface.inputs.iter().zip(&request.inputs) {
            let expected = if batches { spec.dims.with_batch(1) } else { spec.dims.clone() };
            assert_eq!(input.as_ref().unwrap().shape, expected, "{}", spec.name);
        }
        let outputs = here.interface.outputs.iter().enumerate().map(|(index, spec)| {
            let shape = if batches { spec.dims.with_batch(1) } else { spec.dims.clone() };
            let data = bytes::Bytes::from(vec![0; shape.byte_size(spec.data_type).unwrap()]).into();
            OutputTensor { index, shape, data, data_type: None }
        });
        Ok(Response { outputs: outputs.collect(), ..Response::default() })
    })
}

#[tokio::test]
async fn is_served_as_it_is() {
    let backends = vec![zeros("tensorflow"), zeros("tensorrt"), zeros("onnxruntime")];
    let server = Server::with(backends, |settings| settings.cpu_fallback = true);
    server.write("detection-preprocess", PREPROCESS, Some(1));
    server.write("detection-network", NETWORK, Some(1));
    server.write("detection-postprocess", POSTPROCESS, Some(1));
    server.write("detection", DETECTION, Some(1));
    server.load("detection").await.unwrap();
    let model = server.core.model("detection", Some(1)).unwrap();
    let request = hippocamp_core::InferRequest::new(SmallVec::from_iter([hippocamp_core::InferInput {
        name: "raw_image",
        data_type: Some(DataType::Bytes),
        shape: Shape::from([1]),
        data: bytes::Bytes::from_static(b"\x04\0\0\0jpeg").into(),
    }]));
    let response = model.infer(request).unwrap().only().await.unwrap();
    let mut shapes: Vec<_> = response.outputs.iter().map(|o| (o.index, o.shape.to_vec())).collect();
    shapes.sort();
    assert_eq!(shapes, [(0, vec![1, 100]), (1, vec![1, 100]), (2, vec![1, 100, 4])]);
}

#[tokio::test]
async fn is_told_what_would_help_without_gpus() {
    let server = Server::new(vec![zeros("tensorrt")]);
    server.write("detection-network", NETWORK, Some(1));
    let error = server.load("detection-network").await.unwrap_err();
    let expected = "instance group detection-network_0 of model detection-network has kind KIND_GPU but server does \
                    not support GPUs (--cpu-fallback would run it on the CPU)";
    assert!(error.message().contains(expected), "{error}");
}
