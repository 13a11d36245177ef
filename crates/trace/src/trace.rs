//! The trace of a request that was sampled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use hippocamp_events::{RequestObserver, TraceContext, TraceParent};

use crate::node::Node;
use crate::unfinished::Unfinished;
use crate::{Activity, FinishedTrace, Level, Record, Setting, What};

/// The trace of one request of a client, held by the front of a protocol until its response is sent. The trace is finished when
/// the last holder, here or in the context of a request, has dropped it.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Root>);

impl Trace {
    pub(crate) fn begin(setting: Arc<Setting>, all: &Arc<Unfinished>, parent: Option<TraceContext>) -> Trace {
        let trace_id = parent.as_ref().map_or_else(random, |parent| parent.parent.trace_id);
        let began = (Instant::now(), SystemTime::now());
        let id = all.next_id();
        let (all, records) = (Arc::clone(all), Mutex::default());
        Trace(Arc::new(Root { setting, all, id, trace_id, span: random(), parent, began, records }))
    }

    /// Notes that something happens now.
    pub fn mark(&self, activity: Activity) {
        self.mark_at(activity, Instant::now());
    }

    /// Notes when something happened.
    pub fn mark_at(&self, activity: Activity, at: Instant) {
        self.0.time(self.0.id, activity, at);
    }

    /// The observer to be put into the context of the request.
    pub fn observer(&self) -> Arc<dyn RequestObserver> {
        Arc::new(Node::of_request(Arc::clone(&self.0)))
    }

    /// The id of the trace, as in `traceparent`.
    pub fn trace_id(&self) -> [u8; 16] {
        self.0.trace_id
    }
}

/// What all holders of a trace share.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) setting: Arc<Setting>,
    all: Arc<Unfinished>,
    pub(crate) id: u64,
    trace_id: [u8; 16],
    span: [u8; 8],
    parent: Option<TraceContext>,
    began: (Instant, SystemTime),
    records: Mutex<Vec<Record>>,
}

impl Root {
    pub(crate) fn level(&self) -> Level {
        self.setting.level()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.all.next_id()
    }

    /// Whether something of so many bytes may be noted.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.all.has_room_for(size_of::<Record>().saturating_add(bytes))
    }

    pub(crate) fn note(&self, id: u64, what: What) {
        let record = Record { id, what };
        self.all.noted(record.size());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    pub(crate) fn time(&self, id: u64, activity: Activity, at: Instant) {
        if self.level().timestamps {
            self.note(id, What::Time { activity, at });
        }
    }

    /// The context for what happens within a span of this trace.
    pub(crate) fn context(&self, span: [u8; 8]) -> TraceContext {
        let state = self.parent.as_ref().and_then(|parent| parent.state.clone());
        TraceContext { parent: TraceParent { trace_id: self.trace_id, parent_id: span, flags: 1 }, state }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let records = std::mem::take(self.records.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.all.finished(records.iter().map(Record::size).sum());
        self.setting.sink().collect(FinishedTrace {
            setting: Arc::clone(&self.setting),
            id: self.id,
            trace_id: self.trace_id,
            span: self.span,
            parent: self.parent.take(),
            began: self.began,
            ended: Instant::now(),
            records,
        });
    }
}

/// Random bytes, not all of which are zeros: that stands for no id.
pub fn random<const N: usize>() -> [u8; N] {
    let mut id = [0; N];
    while id == [0; N] {
        fastrand::fill(&mut id);
    }
    id
}
