//! A trace as spans, named and connected as Triton's: the request as a whole, in it one for each request to a model, those of an
//! ensemble's steps within that of the ensemble, and in each the computing; and, which Triton's have not, the time in the queue.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hippocamp_trace::{Activity, FinishedTrace, Record, What};

use crate::messages::any_value::Value;
use crate::messages::span::{Event, Kind};
use crate::messages::status::Code;
use crate::messages::{AnyValue, KeyValue, Span, Status};

/// The name of the span of a request as a whole.
const ROOT: &str = "InferRequest";

/// The flags of a span that is sampled, and of which it is known whether its parent is of another process.
const SAMPLED: u32 = 1;
const REMOTENESS_KNOWN: u32 = 1 << 8;
const REMOTE_PARENT: u32 = 1 << 9;

/// The spans of a trace, the root first.
pub(crate) fn spans(trace: &FinishedTrace) -> Vec<Span> {
    let mut nodes: BTreeMap<u64, Node<'_>> = BTreeMap::new();
    for record in &trace.records {
        nodes.entry(record.id).or_default().add(record);
    }
    let own = nodes.get(&trace.id);
    let mut root = Span {
        kind: Kind::Server.into(),
        events: own.map(|node| events(trace, node, Activity::is_of_protocol)).unwrap_or_default(),
        status: own.and_then(Node::status),
        ..span(trace, ROOT, trace.span, (trace.began.0, trace.ended))
    };
    root.flags |= REMOTENESS_KNOWN;
    if let Some(parent) = &trace.parent {
        root.parent_span_id = Bytes::copy_from_slice(&parent.parent.parent_id);
        root.flags |= REMOTE_PARENT;
    }
    let mut all = vec![root];
    for (id, node) in &nodes {
        let has_steps = nodes.values().any(|other| other.parent_id() == Some(*id));
        let parent = node.parent_id().and_then(|parent| nodes.get(&parent)?.span()).unwrap_or(trace.span);
        model(trace, node, parent, has_steps, &mut all);
    }
    all
}

/// What was noted of one request.
#[derive(Default)]
struct Node<'a> {
    id: u64,
    request: Option<&'a What>,
    times: Vec<(Activity, Instant)>,
    /// Moments that the backend has named.
    named: Vec<(&'a str, Instant)>,
    failed: Option<&'a str>,
}

impl<'a> Node<'a> {
    fn add(&mut self, record: &'a Record) {
        self.id = record.id;
        match &record.what {
            What::Request { .. } => self.request = Some(&record.what),
            What::Time { activity, at } => self.times.push((*activity, *at)),
            What::Failed { message } => self.failed = Some(message),
            What::Named { name, at } => self.named.push((name, *at)),
            What::Tensor(_) => {}
        }
    }

    fn parent_id(&self) -> Option<u64> {
        match self.request {
            Some(What::Request { parent_id, .. }) => *parent_id,
            _ => None,
        }
    }

    fn span(&self) -> Option<[u8; 8]> {
        match self.request {
            Some(What::Request { span, .. }) => Some(*span),
            _ => None,
        }
    }

    fn time(&self, wanted: Activity) -> Option<Instant> {
        self.times.iter().find(|(activity, _)| *activity == wanted).map(|(_, at)| *at)
    }

    fn status(&self) -> Option<Status> {
        self.failed.map(|message| Status { code: Code::Error.into(), message: message.to_owned() })
    }
}

/// Adds the span of a request to a model, and those within it.
fn model(trace: &FinishedTrace, node: &Node<'_>, parent: [u8; 8], has_steps: bool, all: &mut Vec<Span>) {
    let Some(What::Request { model, request_id, parent_id, span: own }) = node.request else { return };
    let began = node.time(Activity::RequestStart).unwrap_or(trace.began.0);
    let ended = node.time(Activity::RequestEnd).unwrap_or(trace.ended);
    let mut attributes = vec![
        text("triton.model_name", &model.name),
        number("triton.model_version", model.version),
        number("triton.trace_id", node.id),
        number("triton.trace_parent_id", parent_id.unwrap_or(0)),
    ];
    if !request_id.is_empty() {
        attributes.push(text("triton.request_id", request_id));
    }
    let of_request =
        |activity| matches!(activity, Activity::RequestStart | Activity::QueueStart | Activity::RequestEnd);
    let (stretches, moments) = named(node);
    let mut events_of_request = events(trace, node, of_request);
    events_of_request.extend(moments.iter().map(|(name, at)| event(trace, name, *at)));
    events_of_request.sort_by_key(|event| event.time_unix_nano);
    all.push(Span {
        parent_span_id: Bytes::copy_from_slice(&parent),
        attributes,
        events: events_of_request,
        status: node.status(),
        ..span(trace, &model.name, *own, (began, ended))
    });
    let inner = |name, times, events| Span {
        parent_span_id: Bytes::copy_from_slice(own),
        events,
        ..span(trace, name, hippocamp_trace::random_id(), times)
    };
    all.extend(stretches.into_iter().map(|(name, times)| inner(name, times, Vec::new())));
    if has_steps {
        return;
    }
    let computing = node.time(Activity::ComputeStart).zip(node.time(Activity::ComputeEnd));
    if let Some(queued) = node.time(Activity::QueueStart) {
        let taken = computing.map_or(ended, |(start, _)| start);
        all.push(inner("queue", (queued, taken.max(queued)), Vec::new()));
    }
    if let Some(times) = computing {
        let is_computing = |activity: Activity| activity.name().starts_with("COMPUTE_");
        all.push(inner("compute", times, events(trace, node, is_computing)));
    }
}

fn span(trace: &FinishedTrace, name: &str, id: [u8; 8], (began, ended): (Instant, Instant)) -> Span {
    let state = trace.parent.as_ref().and_then(|parent| parent.state.as_deref());
    Span {
        trace_id: Bytes::copy_from_slice(&trace.trace_id),
        span_id: Bytes::copy_from_slice(&id),
        trace_state: state.unwrap_or_default().to_owned(),
        name: name.to_owned(),
        kind: Kind::Server.into(),
        start_time_unix_nano: unix(trace.wall_clock(began)),
        end_time_unix_nano: unix(trace.wall_clock(ended.max(began))),
        flags: SAMPLED,
        ..Span::default()
    }
}

fn events(trace: &FinishedTrace, node: &Node<'_>, wanted: impl Fn(Activity) -> bool) -> Vec<Event> {
    let mut events: Vec<Event> = node
        .times
        .iter()
        .filter(|(activity, _)| wanted(*activity))
        .map(|(activity, at)| event(trace, activity.name(), *at))
        .collect();
    events.sort_by_key(|event| event.time_unix_nano);
    events
}

fn event(trace: &FinishedTrace, name: &str, at: Instant) -> Event {
    Event { time_unix_nano: unix(trace.wall_clock(at)), name: name.to_owned() }
}

/// How many stretches of time may be open at once.
const MOST_OPEN: usize = 64;

/// What a backend has named: `X_START` with the next `X_END` is a stretch of time `X`; all else are moments.
#[allow(clippy::type_complexity, reason = "two lists")]
fn named<'a>(node: &Node<'a>) -> (Vec<(&'a str, (Instant, Instant))>, Vec<(&'a str, Instant)>) {
    let (mut open, mut stretches, mut moments) = (Vec::new(), Vec::new(), Vec::new());
    for &(name, at) in &node.named {
        if let Some(of) = name.strip_suffix("_START").filter(|_| open.len() < MOST_OPEN) {
            open.push((of, name, at));
        } else if let Some(of) = name.strip_suffix("_END")
            && let Some(place) = open.iter().rposition(|(other, ..)| *other == of)
        {
            stretches.push((of, (open.remove(place).2, at)));
        } else {
            moments.push((name, at));
        }
    }
    moments.extend(open.into_iter().map(|(_, name, at)| (name, at)));
    (stretches, moments)
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// An attribute that is text.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Value::StringValue(value.to_owned());
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn number(key: &str, value: u64) -> KeyValue {
    let value = Value::IntValue(value.try_into().unwrap_or(i64::MAX));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use hippocamp_events::{
        ExecutionTimes, FailureReason, ModelId, Outcome, RequestContext, RequestEvent, RequestObserver,
    };
    use hippocamp_trace::{Mode, ParentRule, StartSettings, TraceSink, Tracing};

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<FinishedTrace>>);

    impl TraceSink for Kept {
        fn collect(&self, trace: FinishedTrace) {
            self.0.lock().unwrap().push(trace);
        }
    }

    /// The spans of a request whose observer is told by `tell`.
    fn traced(tell: impl FnOnce(&Arc<dyn RequestObserver>)) -> Vec<Span> {
        let level = hippocamp_trace::Level { timestamps: true, tensors: false };
        let start = StartSettings { mode: Mode::OpenTelemetry, level, rate: 1, ..StartSettings::default() };
        let sink = Arc::<Kept>::default();
        let tracing = Tracing::new(&start, ParentRule::default(), vec![], Arc::clone(&sink) as _);
        let trace = tracing.sample("m", |_| None).unwrap();
        tell(&trace.observer());
        drop(trace);
        spans(&sink.0.lock().unwrap()[0])
    }

    /// Tells of a request to that model, which ends so.
    fn tell(
        observer: &Arc<dyn RequestObserver>,
        model: &str,
        within: impl FnOnce(),
        fails: bool,
        starts: bool,
    ) {
        let (now, model) = (Instant::now(), ModelId { name: model.into(), version: 1 });
        let context = RequestContext::new(now);
        let times = ExecutionTimes::starting(now);
        observer.on_event(&model, &context, &RequestEvent::Received);
        observer.on_event(&model, &context, &RequestEvent::Queued { at: now });
        if starts {
            observer.on_event(&model, &context, &RequestEvent::Started { at: now });
        }
        within();
        let failed = Outcome::Failed { reason: FailureReason::Backend, message: "boom" };
        let outcome = if fails { failed } else { Outcome::Success { queued: now, times: &times } };
        observer.on_event(&model, &context, &RequestEvent::Ended { outcome, at: Instant::now() });
    }

    /// Each span with that of its parent.
    fn tree(spans: &[Span]) -> Vec<(String, String)> {
        let name = |id: &Bytes| spans.iter().find(|span| span.span_id == id).map_or("", |span| &*span.name);
        spans.iter().map(|span| (span.name.clone(), name(&span.parent_span_id).to_owned())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, parent)| ((*name).to_owned(), (*parent).to_owned())).collect()
    }

    #[test]
    fn steps_lie_within_their_ensemble_at_any_depth() {
        let spans = traced(|outer| {
            let steps = || {
                let inner = outer.of_step().unwrap();
                let step = || tell(&inner.of_step().unwrap(), "step", || {}, false, true);
                tell(&inner, "inner", step, false, true);
            };
            tell(outer, "outer", steps, false, true);
        });
        let expected =
            [("InferRequest", ""), ("outer", "InferRequest"), ("inner", "outer"), ("step", "inner")];
        assert_eq!(tree(&spans), pairs(&[&expected[..], &[("queue", "step"), ("compute", "step")]].concat()));
        assert!(
            spans
                .iter()
                .all(|span| span.status.is_none() && span.end_time_unix_nano >= span.start_time_unix_nano)
        );
    }

    #[test]
    fn a_failure_is_told_where_it_was_and_at_the_root() {
        let failed = traced(|observer| tell(observer, "m", || {}, true, true));
        let expected = [("InferRequest", ""), ("m", "InferRequest"), ("queue", "m"), ("compute", "m")];
        assert_eq!(tree(&failed), pairs(&expected));
        for span in &failed[..2] {
            let status = span.status.as_ref().unwrap();
            assert_eq!((status.code, &*status.message), (Code::Error as i32, "boom"));
        }
        let in_queue = traced(|observer| tell(observer, "m", || {}, true, false));
        assert_eq!(tree(&in_queue), pairs(&expected[..3]));
    }

    #[test]
    fn what_a_backend_names_is_a_span_or_an_event() {
        let spans = traced(|observer| {
            let (begun, ended) = (Instant::now(), Instant::now() + std::time::Duration::from_micros(7));
            let within = || {
                for (name, at) in [
                    ("TOKENIZE_START", begun),
                    ("LOOKED", begun),
                    ("TOKENIZE_END", ended),
                    ("ALONE_END", ended),
                ] {
                    observer.on_activity(name, at);
                }
            };
            tell(observer, "m", within, false, true);
        });
        let expected = [
            ("InferRequest", ""),
            ("m", "InferRequest"),
            ("TOKENIZE", "m"),
            ("queue", "m"),
            ("compute", "m"),
        ];
        assert_eq!(tree(&spans), pairs(&expected));
        assert!(spans[2].end_time_unix_nano - spans[2].start_time_unix_nano >= 7000);
        let names: Vec<&str> = spans[1].events.iter().map(|event| &*event.name).collect();
        assert!(names.contains(&"LOOKED") && names.contains(&"ALONE_END"), "{names:?}");
    }

    #[test]
    fn a_request_that_no_model_took_is_a_bare_root() {
        assert_eq!(tree(&traced(|_| {})), pairs(&[("InferRequest", "")]));
    }
}
