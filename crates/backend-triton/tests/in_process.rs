//! A backend in C whose models call others, through a whole server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kit;

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::Backend;
use hippocamp_backend_triton::TritonBackends;
use hippocamp_core::ControlMode;
use hippocamp_testing::{Repository, TestServer};
use kit::{Backends, source};
use serde_json::{Value, json};

const TENSORS: &str = "max_batch_size: 8 \
    input { name: \"IN\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: -1 }";

const TWIN: &str = "backend: \"identity\" max_batch_size: 8 \
    input { name: \"INPUT0\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: -1 }";

const AROUND: &str = "platform: \"ensemble\" max_batch_size: 8 \
    input { name: \"INPUT0\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: -1 } \
    ensemble_scheduling { step { model_name: \"twin\" model_version: -1 \
    input_map { key: \"INPUT0\" value: \"INPUT0\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" } } }";

const REPEAT: &str = "backend: \"repeat\" model_transaction_policy { decoupled: true } \
    input { name: \"IN\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 } \
    instance_group { count: 2 kind: KIND_CPU }";

/// A server with these models and a C backend whose models call them.
async fn server(instances: usize) -> (TestServer, Backends) {
    let backends = Backends { folder: tempfile::tempdir().unwrap() };
    backends.compile("caller", &source("caller.c"), "libtritonserver.so");
    let caller = format!(
        "backend: \"caller\" {TENSORS} instance_group {{ count: {instances} kind: KIND_CPU }} dynamic_batching {{}}"
    );
    let models = [("twin", TWIN), ("around", AROUND), ("repeat", REPEAT), ("caller", &*caller)];
    let mut repository = Repository::default();
    for (name, config) in models {
        repository = repository.with(name, config);
    }
    let mut all: Vec<Arc<dyn Backend>> = hippocamp_backend_builtin::backends();
    all.push(Arc::new(TritonBackends::new(backends.settings())));
    let change = |settings: &mut hippocamp_core::Settings| {
        settings.control_mode = ControlMode::Explicit;
        settings.load_models = vec!["*".to_owned()];
    };
    let (server, faults) = TestServer::start_with_backends(repository, change, all).await;
    assert_eq!(faults, [""; 0]);
    (server, backends)
}

/// What the caller answers: its numbers, or its error.
async fn ask(server: &TestServer, how: &str, target: &str, numbers: &[i32]) -> Result<Vec<i64>, String> {
    let body = json!({
        "parameters": {"how": how, "target": target},
        "inputs": [{"name": "IN", "datatype": "INT32", "shape": [1, numbers.len()], "data": numbers}],
    });
    let reply = server.post("/v2/models/caller/infer", body.to_string().as_bytes()).await;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    if let Some(error) = answer["error"].as_str() {
        return Err(format!("{} {error}", reply.status));
    }
    let data = answer["outputs"][0]["data"].as_array().unwrap();
    Ok(data.iter().map(|number| number.as_i64().unwrap()).collect())
}

#[tokio::test]
async fn models_and_ensembles_are_called_with_lent_inputs() {
    let (server, _backends) = server(1).await;
    for target in ["twin", "around"] {
        for numbers in [&[1, 2, 3][..], &[4], &[], &[5, 6, 7, 8, 9, 10]] {
            let expected: Vec<i64> = numbers.iter().copied().map(i64::from).collect();
            assert_eq!(ask(&server, "once", target, numbers).await, Ok(expected), "{target}");
        }
    }
    let error = ask(&server, "once", "nobody", &[1]).await.unwrap_err();
    assert_eq!(error, "404 Request for unknown model: 'nobody' is not found");
    let error = ask(&server, "no_buffer", "twin", &[1]).await.unwrap_err();
    assert_eq!(error, "503 no buffer today");
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn decoupled_models_are_called_and_cancelled() {
    let (server, _backends) = server(1).await;
    assert_eq!(ask(&server, "stream", "repeat", &[4]).await, Ok(vec![4, 6]));
    assert_eq!(ask(&server, "stream_block", "repeat", &[20]).await, Ok(vec![20, 190]));
    let error = ask(&server, "stream_cancel", "repeat", &[1000]).await;
    // The model has answered all before it looked, or was stopped.
    assert!(
        error == Ok(vec![1000, 499_500])
            || error.as_ref().is_err_and(|text| text.ends_with(" the client is gone")),
        "{error:?}"
    );
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn models_are_loaded_and_unloaded() {
    let (server, _backends) = server(1).await;
    assert!(ask(&server, "once", "brought", &[1]).await.is_err());
    for _ in 0..3 {
        assert_eq!(ask(&server, "load", "brought", &[1]).await, Ok(vec![]));
        assert_eq!(ask(&server, "once", "brought", &[1, 2]).await, Ok(vec![1, 2]));
        assert_eq!(ask(&server, "unload", "brought", &[1]).await, Ok(vec![]));
        assert!(ask(&server, "once", "brought", &[1]).await.is_err());
    }
    assert_eq!(ask(&server, "unload", "caller", &[1]).await, Ok(vec![]), "itself");
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn calls_that_break_the_rules_are_refused_and_change_nothing() {
    let (server, _backends) = server(1).await;
    for target in ["twin", "around"] {
        assert_eq!(ask(&server, "hostile", target, &[1, 2]).await, Ok(vec![]));
        assert_eq!(ask(&server, "once", target, &[1, 2]).await, Ok(vec![1, 2]));
    }
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_each_get_their_own_answers() {
    let (server, _backends) = server(8).await;
    let server = Arc::new(server);
    let clients = (0..8).map(|client| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0..40 {
                let number = client * 1000 + round;
                let (how, target, numbers, expected) = match round % 3 {
                    0 => ("once", "twin", vec![number, 7], vec![number.into(), 7]),
                    1 => ("once", "around", vec![number, 7], vec![number.into(), 7]),
                    _ => ("stream", "repeat", vec![8], vec![8, 28]),
                };
                assert_eq!(ask(&server, how, target, &numbers).await, Ok(expected));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let server = Arc::into_inner(server).unwrap();
    assert!(server.stop(Duration::from_secs(10)).await);
}
