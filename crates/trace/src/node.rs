//! The observer of a traced request, and of those that are made on its behalf.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use hippocamp_events::{
    ExecutionTimes, ModelId, ObservedTensor, Outcome, RequestContext, RequestEvent, RequestObserver,
    TraceContext,
};
use hippocamp_tensor::DataType;

use crate::trace::{Root, random};
use crate::{Activity, Tensor, What};

/// A request to a model, as a part of a trace.
#[derive(Debug)]
pub(crate) struct Node {
    root: Arc<Root>,
    id: u64,
    parent_id: Option<u64>,
    span: [u8; 8],
    /// Whether others were made on its behalf: then it is one to an ensemble, which computes nothing itself.
    has_steps: AtomicBool,
    /// When it was first executed.
    started: OnceLock<Instant>,
}

impl Node {
    /// The client's own request.
    pub(crate) fn of_request(root: Arc<Root>) -> Node {
        let id = root.id;
        Node::new(root, id, None)
    }

    fn new(root: Arc<Root>, id: u64, parent_id: Option<u64>) -> Node {
        let (has_steps, started) = (AtomicBool::new(false), OnceLock::new());
        Node { root, id, parent_id, span: random(), has_steps, started }
    }

    fn time(&self, activity: Activity, at: Instant) {
        self.root.time(self.id, activity, at);
    }

    fn computed(&self, times: &ExecutionTimes) {
        let times = [
            (Activity::ComputeStart, times.started),
            (Activity::ComputeInputEnd, times.inputs_ready),
            (Activity::ComputeOutputStart, times.outputs_begun),
            (Activity::ComputeEnd, times.finished),
        ];
        for (activity, at) in times {
            self.time(activity, at);
        }
    }

    fn ended(&self, outcome: &Outcome<'_>, at: Instant) {
        let computes = !self.has_steps.load(Relaxed);
        match outcome {
            Outcome::Success { times, .. } if computes => self.computed(times),
            Outcome::Success { .. } | Outcome::Cached { .. } => {}
            Outcome::Failed { message, .. } => {
                if computes && let Some(started) = self.started.get() {
                    self.time(Activity::ComputeStart, *started);
                    self.time(Activity::ComputeEnd, at);
                }
                self.root.note(self.id, What::Failed { message: (*message).into() });
            }
            // It was never the model's.
            Outcome::Withdrawn => return,
        }
        self.time(Activity::RequestEnd, at);
    }
}

impl RequestObserver for Node {
    fn on_event(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        if !self.root.level().timestamps {
            return;
        }
        match event {
            RequestEvent::Received => {
                let (request_id, parent_id) = (Arc::clone(&context.id), self.parent_id);
                let what = What::Request { model: model.clone(), request_id, parent_id, span: self.span };
                self.root.note(self.id, what);
                // A client's request was received when its transport began to read; here it reaches its model.
                let at = if self.parent_id.is_some() { context.received } else { Instant::now() };
                self.time(Activity::RequestStart, at);
            }
            RequestEvent::Queued { at } => self.time(Activity::QueueStart, *at),
            RequestEvent::Started { at } => drop(self.started.set(*at)),
            RequestEvent::Ended { outcome, at } => self.ended(outcome, *at),
            RequestEvent::InputsReady { .. }
            | RequestEvent::Computed { .. }
            | RequestEvent::Responded { .. } => {}
        }
    }

    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        self.has_steps.store(true, Relaxed);
        if !self.root.has_room_for(size_of::<Node>()) {
            return None;
        }
        let root = Arc::clone(&self.root);
        let id = root.next_id();
        Some(Arc::new(Node::new(root, id, Some(self.id))))
    }

    fn trace_context(&self) -> Option<TraceContext> {
        Some(self.root.context(self.span))
    }

    fn on_activity(&self, name: &str, at: Instant) {
        if self.root.level().timestamps && self.root.has_room_for(name.len()) {
            self.root.note(self.id, What::Named { name: name.into(), at });
        }
    }

    fn wants_tensors(&self) -> bool {
        self.root.level().tensors && self.root.setting.sink().wants_tensors()
    }

    fn on_tensor(&self, tensor: &ObservedTensor<'_>) {
        let Some(data_type) = DataType::from_protocol_name(tensor.data_type) else { return };
        let ObservedTensor { place, name, shape, data, .. } = *tensor;
        if !self.root.has_room_for(data.len()) {
            return;
        }
        let (name, shape, data) = (name.into(), shape.into(), Bytes::copy_from_slice(data));
        self.root.note(self.id, What::Tensor(Tensor { place, name, data_type, shape, data }));
    }
}
