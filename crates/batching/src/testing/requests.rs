//! Executions of requests.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, InputTensor, ModelInstance, OutputTensor, Request, Response, Result, WantedOutputs,
    channel,
};
use hippocamp_interface::Interface;
use hippocamp_tensor::Shape;

/// Executes a request for all outputs.
///
/// # Errors
/// That of the instance.
pub fn execute(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    inputs: Vec<Option<InputTensor>>,
) -> Result<Response> {
    execute_together(instance, interface, vec![inputs]).remove(0)
}

/// Executes requests for all outputs as one batch and returns their responses.
///
/// # Panics
/// If a request to a model with a batch dimension has no input.
pub fn execute_together(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    execute_wanted(instance, interface, requests, &WantedOutputs::ALL)
}

/// As [`execute_together`], of requests that want these outputs.
///
/// # Panics
/// If a request to a model with a batch dimension has no input.
pub fn execute_wanted(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
    wanted: &WantedOutputs,
) -> Vec<Result<Response>> {
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for inputs in requests {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let rows = inputs.iter().flatten().next().and_then(|i| i.shape.first().copied());
        let batch_size = if interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
        let request = Request::new(inputs.into_iter().collect(), batch_size, response);
        batch.push(Request { outputs: wanted.clone(), ..request });
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
}

/// The output of a response that has one.
///
/// # Panics
/// If there are none or several.
pub fn only_output(response: &Response) -> (Shape, Bytes) {
    let [OutputTensor { shape, data, .. }] = response.outputs.as_slice() else { panic!("{response:?}") };
    (shape.clone(), data.to_host().unwrap())
}
