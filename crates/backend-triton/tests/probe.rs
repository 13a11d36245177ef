//! A backend in C, through a whole server: what works, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hippocamp_backend::Backend;
use hippocamp_backend_triton::{HostSettings, TritonBackends};
use hippocamp_core::Settings;
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_testing::{Repository, TestServer};
use kit::{Backends, TENSORS, config, source, start};
use serde_json::{Value, json};

/// A name as a packaging tool has made it.
const SERVER_LIBRARY: &str = "libtritonserver-1a2b3c4d.so";

/// Infers with one row of numbers, and returns status and answer.
async fn infer(server: &TestServer, model: &str, numbers: &[i32], parameters: Value) -> (u16, Value) {
    let body = json!({
        "parameters": parameters,
        "inputs": [{"name": "IN", "datatype": "INT32", "shape": [1, numbers.len()], "data": numbers}],
    });
    let path = format!("/v2/models/{model}/infer");
    let reply = server.post(&path, body.to_string().as_bytes()).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

fn data(answer: &(u16, Value)) -> Vec<i64> {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let data = answer.1["outputs"][0]["data"].as_array().expect("there is an output");
    data.iter().map(|number| number.as_i64().expect("a number")).collect()
}

fn error(answer: &(u16, Value)) -> String {
    answer.1["error"].as_str().unwrap_or_else(|| panic!("no error: {}", answer.1)).to_owned()
}

/// The statistics of a model: successes, failures, executions.
async fn counts(server: &TestServer, model: &str) -> [u64; 4] {
    let reply = server.get(&format!("/v2/models/{model}/stats")).await;
    let stats: Value = serde_json::from_slice(&reply.body).expect("JSON");
    let stats = &stats["model_stats"][0];
    let of = |value: &Value| value.as_u64().expect("a count");
    [
        of(&stats["inference_stats"]["success"]["count"]),
        of(&stats["inference_stats"]["fail"]["count"]),
        of(&stats["inference_count"]),
        of(&stats["execution_count"]),
    ]
}

/// Waits until a model has these statistics: executions are reported after responses.
async fn counted(server: &TestServer, model: &str, expected: [u64; 4]) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let counts = counts(server, model).await;
        if counts == expected {
            return;
        }
        assert!(Instant::now() < until, "{model}: {counts:?}, expected {expected:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_are_answered_at_once_and_later() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let models = ["echo", "deferred"].map(|mode| (mode, config(mode, TENSORS)));
    let (server, faults) = start(backends.settings(), &models).await;
    assert_eq!(faults, [""; 0]);
    for mode in ["echo", "deferred"] {
        assert_eq!(data(&infer(&server, mode, &[1, 2, 3], json!({})).await), [1, 2, 3]);
        assert_eq!(data(&infer(&server, mode, &[], json!({})).await), [0; 0]);
        counted(&server, mode, [2, 0, 2, 2]).await;
    }
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn everything_is_initialized_and_finalized_in_order() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let group = "instance_group { count: 2 kind: KIND_CPU }";
    let (server, faults) =
        start(backends.noted(), &[("m", config("echo", &format!("{TENSORS} {group}")))]).await;
    assert_eq!(faults, [""; 0]);
    let unloaded = server.post("/v2/repository/models/m/unload", b"{}").await;
    assert_eq!(unloaded.status, 200, "{}", unloaded.text());
    assert_eq!(server.post("/v2/repository/models/m/load", b"{}").await.status, 200);
    assert!(server.stop(Duration::from_secs(10)).await);
    let mut events = backends.events_so_far();
    let model = |events: &mut Vec<String>| {
        let mut model: Vec<String> = events.drain(..6).collect();
        model[1..3].sort();
        model[3..5].sort();
        assert_eq!(
            model,
            [
                "ModelInitialize(completes) m",
                "InstanceInitialize m_0_0",
                "InstanceInitialize m_0_1",
                "InstanceFinalize m_0_0",
                "InstanceFinalize m_0_1",
                "ModelFinalize m",
            ]
        );
    };
    assert_eq!(events.remove(0), "Initialize probe");
    model(&mut events);
    model(&mut events);
    assert_eq!(events, ["Finalize -"]);
}

#[tokio::test]
async fn an_output_may_have_another_type_than_the_config_says() {
    let around = format!(
        "platform: \"ensemble\" {TENSORS} ensemble_scheduling {{ step {{ model_name: \"retyped\" model_version: -1 \
         input_map {{ key: \"IN\" value: \"IN\" }} output_map {{ key: \"OUT\" value: \"OUT\" }} }} }}"
    );
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let models = [("retyped", config("retyped", TENSORS)), ("around", around)];
    let (server, faults) = start(backends.settings(), &models).await;
    assert_eq!(faults, [""; 0]);
    let answer = infer(&server, "retyped", &[3], json!({})).await;
    assert_eq!((data(&answer), &answer.1["outputs"][0]["datatype"]), (vec![3 << 32], &json!("INT64")));
    let told = error(&infer(&server, "around", &[3], json!({})).await);
    assert!(told.contains("has type INT32 in its config, its backend gives one of type INT64"), "{told}");
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn instances_are_told_the_settings_of_their_host_policy() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let groups = "instance_group { kind: KIND_CPU host_policy: \"near\" } instance_group { kind: KIND_CPU }";
    let models = [("m", config("policy", &format!("{TENSORS} {groups}")))];
    let setting = |key: &str, value: &str| ("near".to_owned(), key.to_owned(), value.to_owned());
    let host_policies = vec![setting("cpu-cores", "0-1"), setting("numa-node", "0")];
    let (server, faults) = start(HostSettings { host_policies, ..backends.noted() }, &models).await;
    assert_eq!(faults, [""; 0]);
    assert!(server.stop(Duration::from_secs(10)).await);
    let mut policies = backends.events_so_far();
    policies.retain(|event| event.starts_with("HostPolicy"));
    policies.sort();
    let expected =
        ["HostPolicy {\"cpu\":{}}", "HostPolicy {\"near\":{\"cpu-cores\":\"0-1\",\"numa-node\":\"0\"}}"];
    assert_eq!(policies, expected);
}

#[tokio::test]
async fn instances_are_on_gpus_as_the_config_says_or_where_it_says_nothing() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let mut repository = Repository::default();
    for (name, groups) in [("any", ""), ("one", "instance_group { kind: KIND_GPU gpus: 1 }")] {
        repository = repository.with(name, &config("policy", &format!("{TENSORS} {groups}")));
    }
    let devices = Devices::of(TestDriver::new(2, 1 << 20));
    let with_gpus = |settings: &mut Settings| settings.devices = devices.clone();
    let source = TritonBackends::new(HostSettings { devices: devices.clone(), ..backends.noted() });
    let (server, faults) =
        TestServer::start_with_backends(repository, with_gpus, vec![Arc::new(source)]).await;
    assert_eq!(faults, [""; 0]);
    assert!(server.stop(Duration::from_secs(10)).await);
    let mut policies = backends.events_so_far();
    policies.retain(|event| event.starts_with("HostPolicy"));
    policies.sort();
    let [first, second] = [0, 1].map(|gpu| format!("HostPolicy {{\"gpu_{gpu}\":{{}}}}"));
    assert_eq!(policies, [first, second.clone(), second]);
}

#[tokio::test]
async fn what_fails_is_told_and_finalized() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let models = ["fail_model", "fail_instance", "fail_execute", "error_response", "silent"];
    let models = models.map(|mode| (mode, config(mode, TENSORS)));
    let (server, faults) = start(backends.noted(), &models).await;
    let all = faults.join("\n");
    assert!(
        all.contains("the model is told to fail") && all.contains("the instance is told to fail"),
        "{all}"
    );
    let events = backends.events_so_far().join(", ");
    for event in
        ["ModelFinalize fail_model", "InstanceFinalize fail_instance_0", "ModelFinalize fail_instance"]
    {
        assert!(events.contains(event), "{event} in {events}");
    }
    assert_eq!(error(&infer(&server, "fail_execute", &[1], json!({})).await), "told to fail");
    counted(&server, "fail_execute", [0, 1, 0, 0]).await;
    assert_eq!(error(&infer(&server, "error_response", &[1], json!({})).await), "stopped");
    let dropped = error(&infer(&server, "silent", &[1], json!({})).await);
    assert!(
        dropped.starts_with("the backend of model 'silent' dropped a request without a final response: each"),
        "{dropped}"
    );
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn an_exception_that_leaves_a_call_is_its_error_and_nothing_else() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let models = ["throw_model", "throw_instance", "throw_finalize", "echo"];
    let (server, faults) = start(backends.noted(), &models.map(|mode| (mode, config(mode, TENSORS)))).await;
    let left = "an exception left the backend's code";
    for of in ["model", "instance"] {
        let expected = format!("{left}: std::runtime_error: thrown by the {of}");
        assert!(faults.iter().any(|fault| fault.contains(&expected)), "{faults:?}");
    }
    assert_eq!(faults.len(), 2, "{faults:?}");
    for (number, what) in [(-667, "std::runtime_error: thrown by the execution"), (-668, "int")] {
        let told = error(&infer(&server, "echo", &[number], json!({})).await);
        assert_eq!(told, format!("{left}: {what}"));
        assert_eq!(data(&infer(&server, "echo", &[5], json!({})).await), [5]);
    }
    assert_eq!(server.post("/v2/repository/models/throw_finalize/unload", b"{}").await.status, 200);
    assert_eq!(data(&infer(&server, "echo", &[6], json!({})).await), [6]);
    assert!(server.stop(Duration::from_secs(10)).await);
    let events = backends.events_so_far();
    let count = |begin: &str| events.iter().filter(|event| event.starts_with(begin)).count();
    // What has thrown is finalized, too.
    assert_eq!(
        (count("InstanceFinalize"), count("ModelFinalize"), count("Finalize")),
        (3, 4, 1),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_backend_that_fails_is_tried_again_by_the_next_load() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let mut settings = backends.noted();
    settings.config.push(("probe".into(), "how".into(), "fails".into()));
    let (server, faults) = start(settings, &[("m", config("echo", TENSORS))]).await;
    assert!(faults[0].contains("failed to initialize backend 'probe': told to fail"), "{faults:?}");
    assert_eq!(server.post("/v2/repository/models/m/load", b"{}").await.status, 400);
    assert_eq!(backends.events_so_far(), ["Initialize probe", "Finalize -"].repeat(2));
}

#[tokio::test]
async fn calls_that_break_the_rules_are_refused_and_change_nothing() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let (server, faults) = start(backends.settings(), &[("m", config("hostile", TENSORS))]).await;
    assert_eq!(faults, [""; 0]);
    for _ in 0..3 {
        assert_eq!(data(&infer(&server, "m", &[5, 6], json!({})).await), [5, 6]);
    }
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn configs_are_completed() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let (server, faults) = start(backends.settings(), &[("m", config("complete", ""))]).await;
    assert_eq!(faults, [""; 0]);
    let reply = server.get("/v2/models/m/config").await;
    let completed: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((&completed["max_batch_size"], &completed["input"][0]["name"]), (&json!(4), &json!("IN")));
    assert_eq!(data(&infer(&server, "m", &[7], json!({})).await), [7]);
}

const STATES: &str = "max_batch_size: 8 \
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 } \
    sequence_batching { MORE state { input_name: \"SUM_IN\" output_name: \"SUM_OUT\" data_type: TYPE_INT32 dims: 1 } }";

#[tokio::test]
async fn states_go_from_request_to_request() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let text = config("state", &STATES.replace("MORE", ""));
    let (server, faults) = start(backends.settings(), &[("m", text)]).await;
    assert_eq!(faults, [""; 0]);
    let mut sums = Vec::new();
    for (index, id) in [json!(7), json!(8), json!(7), json!("text"), json!(7)].into_iter().enumerate() {
        let start = index < 2 || id.is_string();
        let parameters = json!({"sequence_id": id, "sequence_start": start, "sequence_end": index > 2});
        sums.extend(data(&infer(&server, "m", &[1 + index as i32], parameters).await));
    }
    assert_eq!(sums, [1, 2, 4, 4, 9]);
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn requests_are_executed_until_they_are_answered() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let text = config("again", &STATES.replace("MORE", "iterative_sequence: true"));
    let (server, faults) = start(backends.settings(), &[("m", text)]).await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(data(&infer(&server, "m", &[1], json!({})).await), [3]);
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn responses_come_after_their_request_was_released() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let decoupled = format!("{TENSORS} model_transaction_policy {{ decoupled: true }}");
    let (server, faults) = start(backends.settings(), &[("m", config("stream", &decoupled))]).await;
    assert_eq!(faults, [""; 0]);
    let reply = server.post("/v2/models/m/generate_stream", b"{\"IN\": [3]}").await;
    let sent: Vec<Value> = reply
        .text()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("data: "))
        .map(|event| serde_json::from_str::<Value>(event).expect("JSON")["OUT"].clone())
        .collect();
    assert_eq!(sent, [json!(0), json!(1), json!(2)], "{}", reply.text());
    // Three were sent, and one had nothing to send.
    let reply = server.get("/v2/models/m/stats").await;
    let counted = serde_json::from_slice::<Value>(&reply.body).unwrap();
    let counted = &counted["model_stats"][0]["response_stats"];
    for (place, [success, empty]) in [[1, 0], [1, 0], [1, 0], [0, 1]].into_iter().enumerate() {
        let of = |what: &str| counted[place.to_string()][what]["count"].as_u64();
        assert_eq!([of("success"), of("empty_response")], [Some(success), Some(empty)], "{counted}");
    }
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn metrics_are_on_the_page() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let (server, faults) = start(backends.settings(), &[("m", config("count", TENSORS))]).await;
    assert_eq!(faults, [""; 0]);
    for _ in 0..2 {
        infer(&server, "m", &[1], json!({})).await;
    }
    let page = server.scrape().await.text();
    let expected = "# HELP probe_requests_total Requests of the probe\n# TYPE probe_requests_total counter\n\
                    probe_requests_total{mode=\"count\"} 2\n";
    assert!(page.contains(expected), "{page}");
}

#[tokio::test]
async fn a_library_that_wants_more_than_there_is_is_refused_by_name() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let source = backends.folder.path().join("greedy.c");
    let text = "void *TRITONSERVER_NotThere(void); void *TRITONBACKEND_NorThis(void);\n\
                void *TRITONBACKEND_ModelInstanceExecute(void *i, void **r, unsigned n) {\n\
                return n ? TRITONSERVER_NotThere() : TRITONBACKEND_NorThis(); }\n";
    std::fs::write(&source, text).unwrap();
    backends.compile("greedy", &source, "libtritonserver.so");
    let none = "int nothing;";
    std::fs::write(&source, none).unwrap();
    backends.compile("empty", &source, "libtritonserver.so");
    let of = |backend: &str| config("echo", TENSORS).replace("probe", backend);
    let models = [("greedy", of("greedy")), ("empty", of("empty")), ("none", of("none"))];
    let (_server, faults) = start(backends.settings(), &models).await;
    let all = faults.join("\n");
    for part in [
        "libtriton_greedy.so': it wants functions that this server does not have: TRITONBACKEND_NorThis, TRITONSERVER_NotThere",
        "libtriton_empty.so': it has no function TRITONBACKEND_ModelInstanceExecute",
        "there is no backend 'none'",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[tokio::test]
async fn a_model_brings_its_backend_and_a_load_request_does_not() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    let library = backends.folder.path().join("probe/libtriton_probe.so");
    let library = std::fs::read(library).unwrap();
    let nothing = tempfile::tempdir().unwrap();
    let python = nothing.path().join("python");
    std::fs::create_dir(&python).unwrap();
    std::fs::write(python.join("libtriton_python.so"), &library).unwrap();
    std::fs::create_dir(nothing.path().join("other")).unwrap();
    std::fs::write(nothing.path().join("other/libtriton_other.so"), &library).unwrap();
    let settings = HostSettings { backend_directory: nothing.path().into(), ..backends.noted() };
    let repository = Repository::default().with("m", &config("echo", TENSORS));
    repository.write("m/libtriton_probe.so", &library);
    let more: Vec<Arc<dyn Backend>> = vec![Arc::new(TritonBackends::new(settings))];
    let (server, faults) = TestServer::start_with_backends(repository, |_| {}, more).await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(data(&infer(&server, "m", &[1, 2], json!({})).await), [1, 2]);
    assert_eq!(server.post("/v2/repository/models/m/unload", b"{}").await.status, 200);
    let until = Instant::now() + Duration::from_secs(10);
    while backends.events_so_far().last().is_none_or(|event| event != "Finalize -") {
        assert!(Instant::now() < until, "a backend that a model has brought goes with it");
        tokio::task::yield_now().await;
    }
    let count = backends.events_so_far().len();
    let tensor = |name: &str| json!([{"name": name, "data_type": "TYPE_INT32", "dims": [-1]}]);
    for (backend, file, expected) in [
        ("probe", "file:1/libtriton_probe.so", "there is no backend 'probe'"),
        ("probe", "file:libtriton_probe.so", "there is no backend 'probe'"),
        ("python", "file:1/model.py", "its backend 'python' may execute them; put the model into the"),
        ("other", "file:1/model.other", "its backend 'other' may execute them"),
    ] {
        let config =
            json!({"backend": backend, "max_batch_size": 8, "input": tensor("IN"), "output": tensor("OUT")});
        let parameters = json!({
            "config": config.to_string(),
            file: BASE64_STANDARD.encode(&library),
            "file:1/empty": "",
        });
        let body = json!({"parameters": parameters});
        let path = "/v2/repository/models/other/load";
        let reply = server.post(path, body.to_string().as_bytes()).await;
        assert!(reply.status == 400 && reply.text().contains(expected), "{backend} {file}: {}", reply.text());
    }
    assert_eq!(backends.events_so_far().len(), count, "nothing was executed");
}

/// The executions of four requests that wait together, under the strategy of that path, in which ROOT is the repository.
async fn executions_of_four(backends: &Backends, path: &str) -> Result<u64, String> {
    let repository = Repository::default();
    let path = path.replace("ROOT", repository.path().to_str().unwrap());
    let parameter =
        format!("parameters {{ key: \"TRITON_BATCH_STRATEGY_PATH\" value {{ string_value: \"{path}\" }} }}");
    let batching = "dynamic_batching { preferred_batch_size: 8 max_queue_delay_microseconds: 100000 }";
    let repository = repository.with("m", &config("echo", &format!("{TENSORS} {batching} {parameter}")));
    let strategy = repository.path().join("m/strategy.so");
    backends.compile_to(&strategy, &source("strategy.c"));
    std::fs::copy(&strategy, repository.path().join("elsewhere.so")).unwrap();
    let all: Vec<Arc<dyn Backend>> = vec![Arc::new(TritonBackends::new(backends.settings()))];
    let wait_for_four = |settings: &mut hippocamp_core::Settings| settings.delay_scheduler = 4;
    let (server, faults) = TestServer::start_with_backends(repository, wait_for_four, all).await;
    if !faults.is_empty() {
        return Err(faults.concat());
    }
    let asked = [1, 2, 3, 4].map(|number| {
        let server = &server;
        async move { assert_eq!(data(&infer(server, "m", &[number], json!({})).await), [i64::from(number)]) }
    });
    let [a, b, c, d] = asked;
    tokio::join!(a, b, c, d);
    Ok(counts(&server, "m").await[3])
}

#[tokio::test]
async fn a_strategy_says_which_requests_are_executed_together() {
    let backends = Backends::with_probe(SERVER_LIBRARY);
    assert_eq!(executions_of_four(&backends, "strategy.so").await, Ok(4));
    assert_eq!(executions_of_four(&backends, "ROOT/elsewhere.so").await, Ok(4), "as in Triton");
    let told = executions_of_four(&backends, "ROOT/nowhere.so").await.unwrap_err();
    assert!(told.contains("Batching library path not found: ") && told.contains("nowhere.so"), "{told}");
}
