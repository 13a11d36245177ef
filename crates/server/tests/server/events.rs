//! What an observer is told of requests, in which order: of one by itself, of a batch, a sequence, an ensemble, a stream,
//! and of those that end badly.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{
    ModelId, Observer, RequestContext, RequestEvent, ResponseReceiver, TraceContext, TraceParent,
};
use hippocamp_core::{InferInput, InferRequest, Origin, Settings};
use hippocamp_tensor::{DataType, Shape};
use hippocamp_testing::{Entry, Gate, Journal, Repository, TestServer, gate_config, identity_config};

use crate::requests::{fp32, with};

/// What happens to a request that is executed alone and answered once.
const EXECUTED: [&str; 7] =
    ["received", "queued", "started", "inputs ready", "computed", "response 0: Success", "ended: success"];

/// A server over that repository, whose requests are written down, and the gate of its models of that backend.
async fn server_with(
    repository: Repository,
    change: impl FnOnce(&mut Settings),
) -> (TestServer, Journal, Gate) {
    let (journal, gate) = (Journal::default(), Gate::default());
    let observed = |settings: &mut Settings| {
        settings.observers.add(Arc::new(journal.clone()));
        change(settings);
    };
    let backend = Arc::new(gate.clone());
    let (server, faults) = TestServer::start_with_backends(repository, observed, vec![backend]).await;
    assert_eq!(faults, [""; 0]);
    (server, journal, gate)
}

async fn server(repository: Repository) -> (TestServer, Journal, Gate) {
    server_with(repository, |_| {}).await
}

/// A model `m` behind the gate, with one instance.
fn gated(max_batch_size: u32, more: &str) -> Repository {
    let one = format!("instance_group {{ count: 1 kind: KIND_CPU }}\n{more}");
    Repository::default().with("m", &gate_config(max_batch_size, &one))
}

/// Queues a request to `m`.
fn infer(server: &TestServer, id: &str, rows: Option<i64>) -> ResponseReceiver {
    let inputs = rows.map(|rows| InferInput {
        name: "INPUT0",
        data_type: Some(DataType::Fp32),
        shape: Shape::from([rows, 1]),
        data: Bytes::from(vec![0; 4 * rows as usize]).into(),
    });
    let request = InferRequest { id, ..InferRequest::new(inputs.into_iter().collect()) };
    server.core.model("m", None).unwrap().infer(request).unwrap()
}

/// Sends a request to `m` that keeps its instance busy.
async fn busy(server: &TestServer, gate: &Gate, id: &str, rows: Option<i64>) -> ResponseReceiver {
    let responses = infer(server, id, rows);
    gate.begun(1).await;
    responses
}

fn time_of(entries: &[Entry], model: &str, id: &str, event: &str) -> std::time::Instant {
    let found = entries.iter().find(|e| e.model == model && e.id == id && e.event == event);
    found.unwrap_or_else(|| panic!("{event} of {id}")).at
}

/// That no event of a request happened before the one that was told before it.
fn assert_in_time(entries: &[Entry], model: &str, id: &str) {
    let times: Vec<_> = entries.iter().filter(|e| e.model == model && e.id == id).map(|e| e.at).collect();
    assert!(times.is_sorted(), "{entries:#?}");
}

#[tokio::test]
async fn a_request_by_itself() {
    let (server, journal, _) = server(Repository::default().with("plain", &identity_config(0, ""))).await;
    let mut client = server.client().await;
    // More than once: an instance that is quick enough is used by the thread that takes the request in.
    for n in 0..50 {
        let id = n.to_string();
        client.model_infer(fp32("plain", &id, &[1], &[1.0])).await.unwrap();
        assert_eq!(journal.of("plain", &id), EXECUTED);
        assert_in_time(&journal.entries(), "plain", &id);
    }
    let executions = journal.of("plain", "");
    assert_eq!(executions, vec!["executed 0"; 50], "it has no batch dimension");
    let counters = server.core.statistics("plain", None).unwrap().remove(0).counters;
    assert_eq!((counters.success.count, counters.execution_count), (50, 50), "they see the same");
}

#[tokio::test]
async fn requests_of_a_batch_share_its_times() {
    let (server, journal, gate) = server(gated(4, "dynamic_batching { }")).await;
    let first = busy(&server, &gate, "first", Some(1)).await;
    let (a, b) = (infer(&server, "a", Some(1)), infer(&server, "b", Some(3)));
    assert_eq!(journal.of("m", "a"), ["received", "queued"], "while the instance is busy");
    gate.open(2);
    for response in [first, a, b] {
        response.only().await.unwrap();
    }
    let entries = journal.entries();
    for id in ["a", "b"] {
        assert_eq!(journal.of("m", id), EXECUTED);
        assert_in_time(&entries, "m", id);
    }
    for event in ["started", "inputs ready", "computed"] {
        assert_eq!(time_of(&entries, "m", "a", event), time_of(&entries, "m", "b", event), "{event}");
    }
    assert_eq!(journal.of("m", ""), ["executed 1", "executed 4"]);
}

#[tokio::test]
async fn requests_of_a_sequence() {
    let (server, journal, gate) = server(gated(0, "sequence_batching { }")).await;
    gate.open(3);
    let mut client = server.client().await;
    for (id, flag) in [("one", Some("sequence_start")), ("two", None), ("three", Some("sequence_end"))] {
        let mut request = with(fp32("m", id, &[1], &[0.0]), "sequence_id", 7);
        if let Some(flag) = flag {
            request = crate::requests::with_flag(request, flag);
        }
        client.model_infer(request).await.unwrap();
        assert_eq!(journal.of("m", id), EXECUTED);
    }
}

#[tokio::test]
async fn an_ensemble_and_its_steps() {
    let step = |model: &str, from: &str, to: &str| {
        format!(
            "step {{ model_name: \"{model}\" model_version: -1 input_map {{ key: \"INPUT0\" value: \"{from}\" }}
             output_map {{ key: \"OUTPUT0\" value: \"{to}\" }} }}"
        )
    };
    let ensemble = |steps: &str| {
        format!(
            "platform: \"ensemble\" input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }}
             output {{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }} ensemble_scheduling {{ {steps} }}"
        )
    };
    let repository = Repository::default()
        .with("first", &identity_config(0, ""))
        .with("second", &identity_config(0, ""))
        .with("inner", &ensemble(&(step("first", "INPUT0", "t") + &step("second", "t", "OUTPUT0"))))
        .with("outer", &ensemble(&(step("inner", "INPUT0", "t") + &step("first", "t", "OUTPUT0"))));
    let (server, journal, _) = server(repository).await;
    let trace_parent: TraceParent =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let input = InferInput {
        name: "INPUT0",
        data_type: Some(DataType::Fp32),
        shape: Shape::from([1]),
        data: Bytes::from(vec![0; 4]).into(),
    };
    let request = InferRequest {
        id: "r",
        origin: Origin { observer: Some(Arc::new(TraceContext::from(trace_parent))), ..Origin::default() },
        ..InferRequest::new(smallvec::smallvec![input])
    };
    server.core.model("outer", None).unwrap().infer(request).unwrap().only().await.unwrap();
    let told: Vec<_> = journal.entries().into_iter().filter(|entry| entry.id == "r").collect();
    assert!(
        told.iter().all(|entry| entry.trace_parent == Some(trace_parent)),
        "all belong to the client's trace"
    );
    let all: Vec<_> = told.iter().map(|e| (&*e.model, e.depth, &*e.event)).collect();
    // Each begins within the one that it is a step of, and the next step when the response before it is there.
    let begins: Vec<_> = all.iter().filter(|(.., event)| *event == "received").map(|e| (e.0, e.1)).collect();
    assert_eq!(begins, [("outer", 0), ("inner", 1), ("first", 2), ("second", 2), ("first", 1)]);
    let ends: Vec<_> =
        all.iter().filter(|(.., event)| *event == "ended: success").map(|e| (e.0, e.1)).collect();
    assert_eq!(ends, [("first", 2), ("second", 2), ("inner", 1), ("first", 1), ("outer", 0)]);
    for (model, depth) in begins {
        let of_one: Vec<_> = all.iter().filter(|e| (e.0, e.1) == (model, depth)).map(|e| e.2).collect();
        assert_eq!(of_one, EXECUTED, "{model} at {depth}");
    }
}

#[tokio::test]
async fn a_stream_of_responses() {
    let square = "backend: \"square\" model_transaction_policy { decoupled: true }
        input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }
        parameters { key: \"CUSTOM_FAIL_COUNT\" value { string_value: \"1\" } }
        parameters { key: \"CUSTOM_EMPTY_COUNT\" value { string_value: \"1\" } }";
    let (server, journal, _) = server(Repository::default().with("square", square)).await;
    let model = server.core.model("square", None).unwrap();
    for (id, count, outcomes) in [("five", 5_i32, 5), ("none", 0, 0)] {
        let input = InferInput {
            name: "IN",
            data_type: Some(DataType::Int32),
            shape: Shape::from([1]),
            data: Bytes::from(count.to_le_bytes().to_vec()).into(),
        };
        let request = InferRequest { id, ..InferRequest::new(smallvec::smallvec![input]) };
        let mut responses = model.infer(request).unwrap();
        while responses.next().await.is_some() {}
        let told = journal.of("square", id);
        assert_eq!(told[..5], EXECUTED[..5]);
        assert_eq!(told.last().unwrap(), "ended: success");
        let responses = &told[5..told.len() - 1];
        assert_eq!(responses.len(), outcomes, "{told:?}");
        for (n, response) in responses.iter().enumerate() {
            assert!(response.starts_with(&format!("response {n}: ")), "{told:?}");
        }
        let count = |outcome: &str| responses.iter().filter(|response| response.ends_with(outcome)).count();
        let expected = if outcomes == 0 { (0, 0) } else { (1, 1) };
        assert_eq!((count("Fail"), count("Empty")), expected, "{told:?}");
        assert_in_time(&journal.entries(), "square", id);
    }
}

#[tokio::test]
async fn cancelled_requests() {
    let (server, journal, gate) = server(gated(0, "")).await;
    let executed = busy(&server, &gate, "executed", None).await;
    let queued = infer(&server, "queued", None);
    drop((queued, executed));
    let told = journal.ended("m", "executed").await;
    assert_eq!(told, ["received", "queued", "started", "ended: CANCELED nobody waits"]);
    let told = journal.ended("m", "queued").await;
    assert_eq!(told, ["received", "queued", "ended: CANCELED the client cancelled the request"]);
}

#[tokio::test]
async fn a_failed_request() {
    let fail = "backend: \"fail\" input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
        output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }";
    let (server, journal, _) = server(Repository::default().with("bad", fail)).await;
    server.client().await.model_infer(fp32("bad", "r", &[1], &[1.0])).await.unwrap_err();
    let told = journal.of("bad", "r");
    assert_eq!(told, ["received", "queued", "started", "ended: BACKEND boom from the model"]);
}

#[tokio::test]
async fn rejected_requests() {
    let policy =
        "dynamic_batching { default_queue_policy { max_queue_size: 1 allow_timeout_override: true } }";
    let (server, journal, gate) = server(gated(0, policy)).await;
    let mut client = server.client().await;
    let busy = busy(&server, &gate, "busy", None).await;
    let late = with(fp32("m", "late", &[1], &[0.0]), "timeout", 1000);
    client.model_infer(late).await.unwrap_err();
    assert_eq!(journal.of("m", "late"), ["received", "queued", "ended: REJECTED Request timeout expired"]);
    let waiting = infer(&server, "waiting", None);
    client.model_infer(fp32("m", "full", &[1], &[0.0])).await.unwrap_err();
    let full = "ended: REJECTED [request id: full] Exceeds maximum queue size";
    assert_eq!(journal.of("m", "full"), ["received", "queued", full]);
    // One that is refused by its check was never received by a model.
    client.model_infer(fp32("m", "wrong", &[1, 1], &[0.0])).await.unwrap_err();
    assert!(journal.of("m", "wrong").is_empty());
    gate.open(2);
    busy.only().await.unwrap();
    waiting.only().await.unwrap();
}

#[tokio::test]
async fn requests_that_the_response_cache_answers() {
    let repository =
        Repository::default().with("cached", &identity_config(0, "response_cache { enable: true }"));
    let (server, journal, _) =
        server_with(repository, |settings| settings.response_cache_byte_size = 9999).await;
    let mut client = server.client().await;
    for id in ["miss", "hit"] {
        client.model_infer(fp32("cached", id, &[1], &[1.0])).await.unwrap();
    }
    assert_eq!(journal.of("cached", "miss"), EXECUTED);
    assert_eq!(journal.of("cached", "hit"), ["received", "response 0: Success", "ended: cached"]);
    assert_eq!(journal.of("cached", ""), ["executed 0", "cache missed"]);
}

/// Panics whatever it is told.
#[derive(Debug)]
struct Panicking;

impl Observer for Panicking {
    fn on_request(&self, _: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        panic!("told to, at {event:?} of {}", context.id);
    }
}

#[tokio::test]
async fn an_observer_that_panics_harms_nobody() {
    let repository = Repository::default().with("plain", &identity_config(0, ""));
    let journal = Journal::default();
    let (server, faults) = TestServer::start_with(repository, |settings| {
        settings.observers.add(Arc::new(Panicking));
        settings.observers.add(Arc::new(journal.clone()));
    })
    .await;
    assert_eq!(faults, [""; 0]);
    let mut client = server.client().await;
    for id in ["a", "b"] {
        client.model_infer(fp32("plain", id, &[1], &[1.0])).await.unwrap();
        assert_eq!(journal.of("plain", id), EXECUTED);
    }
    let counters = server.core.statistics("plain", None).unwrap().remove(0).counters;
    assert_eq!((counters.success.count, counters.fail.count), (2, 0));
}

#[tokio::test]
async fn an_observer_of_one_model_is_told_of_no_other() {
    let config = identity_config(0, "");
    let repository = Repository::default().with("mine", &config).with("other", &config);
    let journal = Journal::default();
    let (server, faults) = TestServer::start_with(repository, |settings| {
        settings.observers.add_for_model("mine", Arc::new(journal.clone()));
    })
    .await;
    assert_eq!(faults, [""; 0]);
    let mut client = server.client().await;
    for model in ["mine", "other"] {
        client.model_infer(fp32(model, "r", &[1], &[1.0])).await.unwrap();
    }
    assert_eq!(journal.of("mine", "r"), EXECUTED);
    assert!(journal.entries().iter().all(|entry| entry.model == "mine"));
}
