//! Turns the rows of a batch into the requests that a backend gets: it adds controls and states, and null requests for
//! empty rows.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, InputTensor, Outlet, Parameters, Request, RequestContext, ResponseSender, WantedOutputs,
};
use hippocamp_tensor::{DataType, LENGTH_PREFIX, TensorData};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::direct::Row;
use super::sink::SequenceSink;
use super::slots::{Queued, Taken};
use super::{Shared, controls};

/// Zeros for the inputs of null requests: one buffer that grows to the largest size needed.
#[derive(Debug, Default)]
pub(super) struct Zeros(Mutex<Bytes>);

impl Zeros {
    /// Zeros in the shape of that tensor; for strings, that many empty ones.
    fn like(&self, tensor: &InputTensor, data_type: DataType) -> InputTensor {
        let size = match data_type.byte_size() {
            Some(_) => tensor.data.len(),
            None => tensor.shape.element_count().unwrap_or(0) * LENGTH_PREFIX,
        };
        let mut zeros = self.0.lock();
        if zeros.len() < size {
            *zeros = vec![0; size].into();
        }
        InputTensor { shape: tensor.shape.clone(), data: TensorData::from(zeros.slice(..size)) }
    }
}

/// Fills `batch`, which is empty.
pub(super) fn fill(shared: &Arc<Shared>, rows: &mut Vec<Row>, batch: &mut Batch) {
    let mut nulls: SmallVec<[usize; 8]> = SmallVec::new();
    for (index, row) in rows.drain(..).enumerate() {
        match row {
            Some(taken) => batch.push(prepare(shared, taken)),
            None => nulls.push(index),
        }
    }
    let Some(first) = batch.first().filter(|_| !nulls.is_empty()) else { return };
    let inputs = null_inputs(shared, first);
    let observers = Arc::clone(first.response.observers());
    let id: Arc<str> = Arc::from("");
    for index in nulls {
        let now = Instant::now();
        let context = RequestContext::with_id(Arc::clone(&id), now);
        let null = Request {
            inputs: inputs.clone(),
            outputs: WantedOutputs::none_of(0),
            parameters: Parameters::default(),
            batch_size: 1,
            priority: 0,
            timeout: None,
            sequence: None,
            queued: now,
            response: ResponseSender::to_nobody(shared.policy.delivery, context, Arc::clone(&observers)),
        };
        batch.insert(index, null);
    }
}

/// Adds the server's own inputs and outputs to a request, and a sink that receives the model's states.
fn prepare(shared: &Arc<Shared>, taken: Taken) -> Request {
    let policy = &*shared.policy;
    let Taken { queued: Queued { mut request, rescheduled }, at, serial, states, .. } = taken;
    request.inputs.truncate(policy.client_inputs);
    if let Some(sequence) = &request.sequence {
        let row = controls::Row {
            start: sequence.start,
            end: sequence.end,
            ready: true,
            correlation_id: Some(&sequence.correlation_id),
        };
        request.inputs.extend(policy.controls.row(row).map(Some));
    }
    request.inputs.extend(states.inputs().into_iter().map(Some));
    if !rescheduled {
        let asked = request.outputs.clone();
        policy.states.require(&mut request.outputs);
        // The ordering comes behind the sink, so that a sequence continues while its response waits for that of
        // another.
        if let Some(ordered) = shared.ordered.get(at.instance) {
            ordered.admit_one(&mut request);
        }
        let shared = Arc::clone(shared);
        request.response.redirect(|next| {
            let delivery = next.delivery();
            let sink = SequenceSink { shared, next, at, serial, states, asked };
            Outlet::to_sink(delivery, Box::new(sink))
        });
    }
    request
}

/// Inputs of a null request: zeros in the shapes of a request of the same batch, with READY false.
fn null_inputs(shared: &Shared, like: &Request) -> SmallVec<[Option<InputTensor>; 4]> {
    let policy = &*shared.policy;
    let empty = |(input, data_type): (&Option<InputTensor>, DataType)| {
        input.as_ref().map(|tensor| shared.zeros.like(tensor, data_type))
    };
    let (clients, added) = like.inputs.split_at(policy.client_inputs.min(like.inputs.len()));
    let row = controls::Row { start: false, end: false, ready: false, correlation_id: None };
    let controls = policy.controls.row(row).map(Some);
    let states = added.iter().skip(policy.controls.len()).zip(policy.states.data_types());
    let clients = clients.iter().zip(policy.input_types.iter().copied());
    clients.map(empty).chain(controls).chain(states.map(empty)).collect()
}
