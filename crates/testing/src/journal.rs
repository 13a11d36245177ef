//! An observer that writes down what it is told.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{ModelEvent, ModelId, Observer, Outcome, RequestContext, RequestEvent, TraceParent};
use parking_lot::Mutex;

/// Keeps every event, in the order in which it is told of them.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Vec<Entry>>>);

/// One event of a request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The model's name.
    pub model: String,
    /// The request's id.
    pub id: String,
    /// How many requests it was made for, each for the next: 0 for a client's own.
    pub depth: usize,
    /// What happened, in words.
    pub event: String,
    /// When it happened.
    pub at: Instant,
    /// The trace that the request belongs to.
    pub trace_parent: Option<TraceParent>,
}

impl Journal {
    /// All that it was told so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }

    /// The events of the requests of that id to that model.
    pub fn of(&self, model: &str, id: &str) -> Vec<String> {
        let entries = self.entries().into_iter();
        entries.filter(|entry| entry.model == model && entry.id == id).map(|entry| entry.event).collect()
    }

    /// Waits until a request has ended.
    pub async fn ended(&self, model: &str, id: &str) -> Vec<String> {
        loop {
            let events = self.of(model, id);
            if events.last().is_some_and(|last| last.starts_with("ended")) {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Observer for Journal {
    fn on_request(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        let (event, at) = match event {
            RequestEvent::Received => ("received".to_owned(), context.received),
            RequestEvent::Queued { at } => ("queued".to_owned(), *at),
            RequestEvent::Started { at } => ("started".to_owned(), *at),
            RequestEvent::InputsReady { at } => ("inputs ready".to_owned(), *at),
            RequestEvent::Computed { at } => ("computed".to_owned(), *at),
            RequestEvent::Responded { index, outcome, times } => {
                (format!("response {index}: {outcome:?}"), times.finished)
            }
            RequestEvent::Ended { outcome, at } => (ending(outcome), *at),
        };
        let (model, id) = (model.name.to_string(), context.id.to_string());
        let trace_parent = context.trace_context().map(|context| context.parent);
        let entry = Entry { model, id, depth: depth(context), event, at, trace_parent };
        self.0.lock().push(entry);
    }

    fn on_model(&self, model: &ModelId, event: &ModelEvent<'_>) {
        let (event, at) = match event {
            ModelEvent::Executed { batch_size, times, .. } => {
                (format!("executed {batch_size}"), times.finished)
            }
            ModelEvent::CacheMissed { .. } => ("cache missed".to_owned(), Instant::now()),
        };
        let (model, id) = (model.name.to_string(), String::new());
        self.0.lock().push(Entry { model, id, depth: 0, event, at, trace_parent: None });
    }
}

fn ending(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Success { .. } => "ended: success".to_owned(),
        Outcome::Cached { .. } => "ended: cached".to_owned(),
        Outcome::Failed { reason, message } => format!("ended: {} {message}", reason.name()),
        Outcome::Withdrawn => "ended: withdrawn".to_owned(),
    }
}

fn depth(context: &RequestContext) -> usize {
    context.parent.as_ref().map_or(0, |parent| 1 + depth(parent.context()))
}
