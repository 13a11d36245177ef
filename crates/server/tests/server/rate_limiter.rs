//! The rate limiter across models.

use std::sync::Arc;

use hippocamp_backend::ResponseReceiver;
use hippocamp_core::{InferRequest, LoadOverrides, ResourceCount, Settings};
use hippocamp_testing::{Gate, Repository, TestServer, gate_config};

use crate::requests::fp32;

fn limited(count: u32, priority: u32, resource: &str, amount: u32) -> String {
    gate_config(0, &limited_group(count, priority, resource, amount))
}

fn limited_group(count: u32, priority: u32, resource: &str, amount: u32) -> String {
    let limits =
        format!("priority: {priority} resources {{ name: \"{resource}\" global: true count: {amount} }}");
    format!("instance_group {{ count: {count} kind: KIND_CPU rate_limiter {{ {limits} }} }}")
}

/// An in-process request, with its model's name as id.
fn infer(server: &TestServer, model: &str) -> ResponseReceiver {
    let request = InferRequest { id: model, ..InferRequest::new(smallvec::smallvec![]) };
    server.core.model(model, None).unwrap().infer(request).unwrap()
}

async fn server(
    repository: Repository,
    rate_limit: Option<Vec<ResourceCount>>,
) -> (TestServer, Gate, Vec<String>) {
    let gate = Gate::default();
    let change = |settings: &mut Settings| settings.rate_limit = rate_limit;
    let (server, faults) =
        TestServer::start_with_backends(repository, change, vec![Arc::new(gate.clone())]).await;
    (server, gate, faults)
}

#[tokio::test]
async fn models_that_share_a_resource_execute_one_after_the_other() {
    let repository =
        Repository::default().with("a", &limited(1, 1, "R", 1)).with("b", &limited(1, 1, "R", 1));
    let (server, gate, _) = server(repository, Some(vec![])).await;
    let (mut client, mut other) = (server.client().await, server.client().await);
    let first = tokio::spawn(async move { client.model_infer(fp32("a", "a", &[1], &[0.0])).await });
    gate.begun(1).await;
    let second = tokio::spawn(async move { other.model_infer(fp32("b", "b", &[1], &[0.0])).await });
    let model = server.core.model("b", None).unwrap();
    while model.pending() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.executions(), [["a"]]);
    gate.open(1);
    first.await.unwrap().unwrap();
    assert_eq!(gate.begun(2).await, [["a"], ["b"]]);
    gate.open(1);
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_batch_grows_while_it_waits_for_resources() {
    let batched = format!("dynamic_batching {{ }} {}", limited_group(2, 1, "R", 1));
    let repository =
        Repository::default().with("a", &limited(1, 1, "R", 1)).with("b", &gate_config(4, &batched));
    let (server, gate, _) = server(repository, Some(vec![])).await;
    let first = infer(&server, "a");
    gate.begun(1).await;
    let waiting: Vec<_> = (0..6).map(|_| infer(&server, "b")).collect();
    gate.open(3);
    first.only().await.unwrap();
    for receiver in waiting {
        receiver.only().await.unwrap();
    }
    assert_eq!(gate.executions().iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 2]);
}

#[tokio::test]
async fn a_saturated_model_of_half_the_priority_gets_half_the_turns() {
    const TURNS: usize = 30;
    let repository =
        Repository::default().with("a", &limited(1, 1, "R", 1)).with("b", &limited(1, 2, "R", 1));
    let (server, gate, _) = server(repository, Some(vec![])).await;
    let both = (0..TURNS).map(|_| ["a", "b"].map(|model| infer(&server, model)));
    let _waiting: Vec<_> = both.collect();
    for turn in 1..TURNS {
        gate.begun(turn).await;
        gate.open(1);
    }
    let executions = gate.begun(TURNS).await;
    let of_a = executions.iter().filter(|ids| *ids == &["a"]).count();
    assert!((18..=22).contains(&of_a), "{of_a} of {TURNS}");
    gate.open(2 * TURNS);
}

#[tokio::test]
async fn without_it_or_with_enough_resources_they_execute_at_once() {
    let two = vec![ResourceCount { name: "R".to_owned(), count: 2, device: None }];
    for rate_limit in [None, Some(two)] {
        let repository =
            Repository::default().with("a", &limited(1, 1, "R", 1)).with("b", &limited(1, 1, "R", 1));
        let (server, gate, _) = server(repository, rate_limit).await;
        let calls = ["a", "b"].map(|model| {
            let address = format!("http://{}", server.grpc);
            tokio::spawn(async move {
                let client = hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient::connect(address);
                client.await.unwrap().model_infer(fp32(model, model, &[1], &[0.0])).await
            })
        });
        gate.begun(2).await;
        gate.open(2);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_model_that_could_never_execute_is_refused() {
    let repository = Repository::default().with("a", &limited(1, 1, "R", 4));
    let given = vec![ResourceCount { name: "R".to_owned(), count: 3, device: None }];
    let (server, _, faults) = server(repository, Some(given)).await;
    let text = "Resource count for \"R\" is limited to 3 which will prevent scheduling of one or more model instances, \
                the minimum required count is 4";
    assert!(faults[0].contains(text), "{faults:?}");
    let error = server.core.load("a", LoadOverrides::default()).await.unwrap_err();
    assert!(error.message().contains(text), "{error}");
}

#[tokio::test]
async fn what_is_unloaded_needs_nothing_any_more() {
    let repository =
        Repository::default().with("a", &limited(1, 1, "R", 1)).with("b", &limited(1, 1, "S", 1));
    let (server, _, _) = server(repository, Some(vec![])).await;
    server.core.unload("a", false).await.unwrap();
    // Otherwise R would be a global and a device resource at once.
    let by_device = limited(1, 1, "R", 1).replace("global: true", "");
    server.repository.write("b/config.pbtxt", by_device);
    server.core.load("b", LoadOverrides::default()).await.unwrap();
    let error = server.core.load("a", LoadOverrides::default()).await.unwrap_err();
    let text =
        "Resource \"R\" is present as both global and device-specific resource in the model configuration.";
    assert!(error.message().contains(text), "{error}");
}
