//! Sequences, as clients see them.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::{ControlMode, LoadOverrides, LoadedModel, Settings};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use hippocamp_testing::{Gate, Repository, TestServer, gate_config};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::requests::{fp32, with};

/// A server of a model `m` with one slot, and the gate of its executions.
async fn server(change: impl FnOnce(&mut Settings)) -> (TestServer, Gate) {
    let gate = Gate::default();
    let batching = "sequence_batching { direct { } max_sequence_idle_microseconds: 3600000000 }
        instance_group { count: 1 kind: KIND_CPU }";
    let repository = Repository::default().with("m", &gate_config(0, batching));
    let (server, faults) =
        TestServer::start_with_backends(repository, change, vec![Arc::new(gate.clone())]).await;
    assert_eq!(faults, [""; 0]);
    (server, gate)
}

/// A request of a sequence; `flags` are names of parameters that are set to true.
fn request(id: &str, sequence: u64, flags: &[&str]) -> ModelInferRequest {
    let mut request = with(fp32("m", id, &[1], &[0.0]), "sequence_id", sequence);
    for flag in flags {
        let set = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
        request.parameters.insert((*flag).to_owned(), set);
    }
    request
}

/// Sends a request.
async fn send(
    server: &TestServer,
    request: ModelInferRequest,
) -> JoinHandle<Result<ModelInferResponse, Status>> {
    let mut client = server.client().await;
    tokio::spawn(async move { client.model_infer(request).await.map(tonic::Response::into_inner) })
}

async fn pending(server: &TestServer, count: usize) {
    let model = server.core.model("m", None).unwrap();
    while model.pending() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cancelled_request_of_the_backlog_takes_its_sequence_along_while_others_are_executed() {
    let (server, gate) = server(|_| {}).await;
    let first = send(&server, request("first", 1, &["sequence_start"])).await;
    gate.begun(1).await;
    let gone = send(&server, request("gone", 2, &["sequence_start"])).await;
    pending(&server, 1).await;
    let behind = send(&server, request("behind", 2, &["sequence_end"])).await;
    pending(&server, 2).await;
    gone.abort();
    assert_eq!(behind.await.unwrap().unwrap_err().code(), Code::Cancelled);
    assert_eq!(gate.executions(), [["first"]]);
    gate.open(1);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_test_hooks_end_when_the_last_request_goes_to_the_backlog() {
    let (server, gate) =
        server(|settings| (settings.delay_scheduler, settings.backlog_delay_scheduler) = (1, 1)).await;
    let first = send(&server, request("first", 1, &["sequence_start", "sequence_end"])).await;
    pending(&server, 1).await;
    assert!(gate.executions().is_empty());
    let last = send(&server, request("last", 2, &["sequence_start", "sequence_end"])).await;
    gate.open(2);
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(gate.executions(), [["first"], ["last"]]);
}

#[tokio::test]
async fn a_replaced_version_is_drained_when_no_request_is_on_its_way_to_it() {
    let batching = "sequence_batching { direct { } } instance_group { count: 1 kind: KIND_CPU }";
    let repository =
        Repository::default().with("m", &gate_config(0, batching)).with("other", &gate_config(0, batching));
    let gate = Gate::default();
    let explicit = |settings: &mut Settings| {
        settings.control_mode = ControlMode::Explicit;
        settings.load_models = vec!["*".to_owned()];
    };
    let (server, faults) =
        TestServer::start_with_backends(repository, explicit, vec![Arc::new(gate.clone())]).await;
    assert_eq!(faults, [""; 0]);
    let [replaced, other] = ["m", "other"].map(|name| server.core.model(name, None).unwrap());
    // A request has found the version, and will begin a sequence on it.
    let on_its_way = replaced.begin_use().unwrap();
    for name in ["m", "other"] {
        server.core.load(name, LoadOverrides::default()).await.unwrap();
    }
    let drained = async |model: &LoadedModel| {
        while model.begin_use().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // It was replaced later, and is looked at as often.
    drained(&other).await;
    assert!(replaced.begin_use().is_ok(), "somebody would begin a sequence that nobody finds");
    drop(on_its_way);
    drained(&replaced).await;
    // From here on requests find the new version.
    gate.open(1);
    let new = send(&server, request("new", 1, &["sequence_start", "sequence_end"])).await;
    new.await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(&replaced, &server.core.model("m", None).unwrap()));
}
