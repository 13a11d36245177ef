//! What a warm server allocates for a large tensor: nothing of its size, where that is promised.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "counts what the allocator is asked for")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::{InferParameter, ModelInferRequest};
use hippocamp_testing::{Repository, SharedObject, TestServer, identity_config};

/// The largest block that was asked for since this was set to 0.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Watching;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as required of the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

const SIZE: usize = 4_915_200;

fn place(region: &str) -> std::collections::BTreeMap<String, InferParameter> {
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    [
        ("shared_memory_region".to_owned(), parameter(ParameterChoice::StringParam(region.to_owned()))),
        ("shared_memory_byte_size".to_owned(), parameter(ParameterChoice::Int64Param(SIZE as i64))),
    ]
    .into()
}

fn request() -> ModelInferRequest {
    ModelInferRequest {
        model_name: "m".to_owned(),
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
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (server, _) = TestServer::start_with(repository, |settings| settings.allow_client_shm = true).await;
    let content: Vec<u8> = (0..SIZE).map(|i| i as u8).collect();
    let (input, output) = (SharedObject::new(&content), SharedObject::new(&vec![0; SIZE]));
    for (name, object) in [("in", &input), ("out", &output)] {
        server.core.shared_memory().register(name, &object.key, 0, SIZE as u64).unwrap();
    }
    let mut client = server.client().await;
    client.model_infer(request()).await.unwrap();
    LARGEST.store(0, Ordering::Relaxed);
    for _ in 0..3 {
        client.model_infer(request()).await.unwrap();
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < 64 << 10, "a block of {largest} bytes was allocated");
    assert!(output.content() == content);
}
