//! Tensors copied from region to region, without memory of the server.

use std::collections::BTreeMap;

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::{InferParameter, ModelInferRequest};
use hippocamp_testing::SharedObject;

use crate::allocator::{self, turn};
use crate::{SIZE, content, server};

fn place(region: &str) -> BTreeMap<String, InferParameter> {
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    [
        ("shared_memory_region".to_owned(), parameter(ParameterChoice::StringParam(region.to_owned()))),
        ("shared_memory_byte_size".to_owned(), parameter(ParameterChoice::Int64Param(SIZE as i64))),
    ]
    .into()
}

fn request(model: &str) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: "INPUT0".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![SIZE as i64 / 4],
            parameters: place("in"),
            ..InferInputTensor::default()
        }],
        outputs: vec![InferRequestedOutputTensor { name: "OUTPUT0".to_owned(), parameters: place("out") }],
        ..ModelInferRequest::default()
    }
}

#[tokio::test]
async fn a_tensor_in_shared_memory_costs_no_memory() {
    let _turn = turn().await;
    let server = server().await;
    let content = content();
    for model in ["m", "e"] {
        let (input, output) = (SharedObject::new(&content), SharedObject::new(&vec![0; SIZE]));
        let memory = server.core.shared_memory();
        for (name, object) in [("in", &input), ("out", &output)] {
            memory.register(name, &object.key, 0, SIZE as u64).unwrap();
        }
        let mut client = server.client().await;
        client.model_infer(request(model)).await.unwrap();
        allocator::begin(usize::MAX);
        for _ in 0..3 {
            client.model_infer(request(model)).await.unwrap();
        }
        let largest = allocator::largest();
        assert!(largest < 64 << 10, "{model}: a block of {largest} bytes was allocated");
        assert!(output.content() == content);
        for name in ["in", "out"] {
            memory.unregister(name).unwrap();
        }
    }
}
