use std::path::Path;

use hippocamp_events::{
    ExecutionTimes, ModelId, ObservedTensor, Outcome, RequestContext, RequestEvent, TensorPlace,
};
use serde_json::Value;

use super::*;
use crate::{Activity, Change, Field, Level, ParentRule, StartSettings, Tracing};

const ALL: Level = Level { timestamps: true, tensors: true };

fn tracing(folder: &Path, start: StartSettings) -> Tracing {
    let path = folder.join("trace");
    let start = StartSettings { file: path.display().to_string(), level: ALL, rate: 1, ..start };
    let sink = TraceFile::start(path).unwrap();
    Tracing::new(&start, ParentRule::default(), Vec::new(), Arc::new(sink))
}

fn read(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(!text.contains('\n'), "one line");
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

/// A request to an ensemble with one step.
fn request(tracing: &Tracing, id: &str) {
    let trace = tracing.sample("m", |_| None).unwrap();
    trace.mark(Activity::HttpRecvStart);
    let observer = trace.observer();
    let now = std::time::Instant::now();
    let context =
        RequestContext { observer: Some(Arc::clone(&observer)), ..RequestContext::with_id(id.into(), now) };
    let times = ExecutionTimes::starting(now);
    let (ensemble, inner) = (model("m"), model("inner"));
    observer.on_event(&ensemble, &context, &RequestEvent::Received);
    observer.on_event(&ensemble, &context, &RequestEvent::Queued { at: now });
    let step = observer.of_step().unwrap();
    step.on_event(&inner, &context, &RequestEvent::Received);
    step.on_activity("BACKEND'S \"OWN\"", now);
    let (shape, data) = (&[1, 1], &[7, 0, 0, 0]);
    step.on_tensor(&ObservedTensor {
        place: TensorPlace::QueuedInput,
        name: "IN",
        data_type: "INT32",
        shape,
        data,
    });
    for (model, observer) in [(&inner, &step), (&ensemble, &observer)] {
        let outcome = Outcome::Success { queued: now, times: &times };
        observer.on_event(model, &context, &RequestEvent::Ended { outcome, at: now });
    }
    trace.mark(Activity::HttpSendEnd);
}

fn model(name: &str) -> ModelId {
    ModelId { name: name.into(), version: 3 }
}

fn ids(objects: &[Value]) -> Vec<u64> {
    let mut ids: Vec<u64> = objects.iter().map(|object| object["id"].as_u64().unwrap()).collect();
    ids.dedup();
    ids
}

#[test]
fn an_ensemble_and_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let tracing = tracing(folder.path(), StartSettings::default());
    request(&tracing, "a\"b");
    tracing.close(Duration::from_mins(1));
    let objects = read(folder.path(), "trace");
    assert_eq!(ids(&objects), [1, 2], "objects of one id stand together");
    let of = |id: u64| objects.iter().filter(move |object| object["id"] == id);
    let requests: Vec<&Value> = objects.iter().filter(|object| object.get("model_name").is_some()).collect();
    let expected = [
        serde_json::json!({"id": 1, "model_name": "m", "model_version": 3, "request_id": "a\"b"}),
        serde_json::json!({"id": 2, "model_name": "inner", "model_version": 3, "request_id": "a\"b", "parent_id": 1}),
    ];
    assert_eq!(requests, expected.iter().collect::<Vec<_>>());
    let times = |id| -> Vec<String> {
        let times = of(id).filter_map(|object| object.get("timestamps"));
        times.map(|times| times[0]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(times(1), ["HTTP_RECV_START", "REQUEST_START", "QUEUE_START", "REQUEST_END", "HTTP_SEND_END"]);
    let step = [
        "REQUEST_START",
        "BACKEND'S \"OWN\"",
        "COMPUTE_START",
        "COMPUTE_INPUT_END",
        "COMPUTE_OUTPUT_START",
        "COMPUTE_END",
        "REQUEST_END",
    ];
    assert_eq!(times(2), step);
    let tensor = of(2).find(|object| object["activity"] == "TENSOR_QUEUE_INPUT").unwrap();
    assert_eq!(
        tensor["tensor"],
        serde_json::json!({"name": "IN", "data": "7", "shape": "1,1", "dtype": "INT32"})
    );
}

#[test]
fn a_log_frequency_makes_files_with_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let tracing = tracing(folder.path(), StartSettings { log_frequency: 2, ..StartSettings::default() });
    for id in ["1", "2", "3"] {
        request(&tracing, id);
    }
    let rate = Change { rate: Field::Set(1), ..Change::default() };
    tracing.change(None, &rate).unwrap();
    request(&tracing, "4");
    tracing.close(Duration::from_mins(1));
    assert_eq!(ids(&read(folder.path(), "trace.0")), [1, 2, 3, 4]);
    assert_eq!(ids(&read(folder.path(), "trace.1")), [5, 6], "written when the setting was replaced");
    assert_eq!(ids(&read(folder.path(), "trace.2")), [7, 8], "written at the end");
    assert!(!folder.path().join("trace").try_exists().unwrap());
}

#[test]
fn a_count_makes_a_file_when_it_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let tracing = tracing(folder.path(), StartSettings { count: 2, ..StartSettings::default() });
    request(&tracing, "1");
    request(&tracing, "2");
    assert!(tracing.sample("m", |_| None).is_none());
    let count = Change { count: Field::Set(5), ..Change::default() };
    tracing.change(None, &count).unwrap();
    request(&tracing, "3");
    tracing.change(None, &Change { count: Field::Set(-1), ..Change::default() }).unwrap();
    request(&tracing, "4");
    tracing.close(Duration::from_mins(1));
    assert_eq!(ids(&read(folder.path(), "trace.0")), [1, 2, 3, 4]);
    let mut rest = ids(&read(folder.path(), "trace"));
    rest.sort_unstable();
    assert_eq!(rest, [5, 6, 7, 8], "what a replaced setting left, and what came after it");
}

#[test]
fn a_file_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tracing = tracing(&folder.path().join("missing"), StartSettings::default());
    request(&tracing, "1");
    tracing.close(Duration::from_mins(1));
    tracing.close(Duration::from_mins(1));
    assert!(tracing.sample("m", |_| None).is_none(), "nothing is traced any more");
}
