//! Several repositories, and repository agents that process models before they are loaded.

use std::fs;

use hippocamp_core::{ControlMode, LoadOverrides, Readiness, Settings};
use hippocamp_proto::inference::{ServerLiveRequest, ServerReadyRequest};
use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::requests::{fp32, values};

/// A folder with two repositories, whose names begin the paths of their files.
fn two() -> Repository {
    let identity = identity_config(0, "");
    Repository::default()
        .with("one/both", &identity)
        .with("one/single", &identity)
        .with("two/both", &identity_config(4, ""))
}

fn both(settings: &mut Settings) {
    let parent = settings.repositories[0].to_string();
    settings.repositories = ["one", "two"].map(|name| std::path::Path::new(&parent).join(name).into()).into();
}

#[tokio::test]
async fn a_name_in_two_repositories_is_an_error_that_says_what_to_do() {
    let (server, faults) = TestServer::start_with(two(), both).await;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("model 'both' is in more than one repository: "), "{}", faults[0]);
    assert!(faults[0].contains("--model-namespacing=true"), "{}", faults[0]);
    let index = server.post("/v2/repository/index", b"").await.text();
    assert_eq!(
        index,
        r#"[{"name":"both","state":"UNAVAILABLE","reason":"model appears in two or more repositories"},"#
            .to_owned()
            + r#"{"name":"single","version":"1","state":"READY"}]"#
    );
    server.client().await.model_infer(fp32("single", "", &[1], &[1.0])).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_cannot_be_read_leaves_a_server_that_is_neither_live_nor_ready() {
    let repository = Repository::default().with("one/m", &identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |settings| {
        both(settings);
        settings.readiness = Readiness::Started;
    })
    .await;
    assert!(faults.concat().starts_with("failed to read model repository '"), "{faults:?}");
    for (path, status) in
        [("/v2/health/live", 400), ("/v2/health/ready", 400), ("/v2", 200), ("/v2/models/m", 200)]
    {
        assert_eq!(server.get(path).await.status, status, "{path}");
    }
    let mut client = server.client().await;
    assert!(!client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(!client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();
}

#[tokio::test]
async fn with_namespaces_both_are_served() {
    let (server, faults) = TestServer::start_with(two(), |settings| {
        both(settings);
        settings.model_namespacing = true;
    })
    .await;
    assert_eq!(faults, [""; 0]);
    let mut client = server.client().await;
    let reply = client.model_infer(fp32("one::both", "", &[1], &[2.0])).await.unwrap().into_inner();
    assert_eq!((reply.model_name.as_str(), values(&reply)), ("one::both", vec![2.0]));
    client.model_infer(fp32("two::both", "", &[1, 1], &[2.0])).await.unwrap();
    client.model_infer(fp32("single", "", &[1], &[2.0])).await.unwrap();
    assert_eq!(server.get("/v2/models/two::both/ready").await.status, 200);
    assert_eq!(server.get("/v2/models/two%3A%3Aboth/ready").await.status, 200);
    let error = client.model_infer(fp32("both", "", &[1], &[2.0])).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
    assert_eq!(
        error.message(),
        "There are 2 identifiers of model 'both' in global map, model namespace must be provided to resolve \
         ambiguity. They are 'one::both' and 'two::both'"
    );
    let index = server.core.index(true);
    let names: Vec<&str> = index.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["one::both", "single", "two::both"]);
}

#[tokio::test]
async fn a_name_alone_loads_and_unloads_the_model_of_every_namespace() {
    let (server, faults) = TestServer::start_with(two(), |settings| {
        both(settings);
        settings.model_namespacing = true;
        settings.load_models = vec!["both".to_owned()];
    })
    .await;
    assert_eq!(faults, [""; 0]);
    assert!(server.core.model("single", None).is_err());
    let mut client = server.client().await;
    client.model_infer(fp32("two::both", "", &[1, 1], &[2.0])).await.unwrap();
    server.core.unload("both", false).await.unwrap();
    assert!(client.model_infer(fp32("one::both", "", &[1], &[2.0])).await.is_err());
    assert!(client.model_infer(fp32("two::both", "", &[1, 1], &[2.0])).await.is_err());
    server.core.load("both", LoadOverrides::default()).await.unwrap();
    client.model_infer(fp32("one::both", "", &[1], &[2.0])).await.unwrap();
    server.core.unload("one::both", false).await.unwrap();
    client.model_infer(fp32("two::both", "", &[1, 1], &[2.0])).await.unwrap();
}

#[tokio::test]
async fn without_explicit_mode_every_namespace_is_served_too() {
    let (server, faults) = TestServer::start_with(two(), |settings| {
        both(settings);
        settings.model_namespacing = true;
        settings.control_mode = ControlMode::None;
    })
    .await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(server.core.ready_count(), 3);
}

#[tokio::test]
async fn an_ensemble_is_made_of_the_models_beside_it() {
    let ensemble = "platform: \"ensemble\"
        input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
        output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }
        ensemble_scheduling { step { model_name: \"both\" model_version: -1
          input_map { key: \"INPUT0\" value: \"INPUT0\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" } } }";
    let identity = identity_config(0, "");
    let repository = Repository::default()
        .with("one/both", &identity)
        .with("one/first", ensemble)
        .with("two/both", &identity)
        .with("two/second", ensemble);
    let (server, faults) = TestServer::start_with(repository, |settings| {
        both(settings);
        settings.model_namespacing = true;
        settings.load_models = vec!["first".to_owned(), "second".to_owned()];
    })
    .await;
    assert_eq!(faults, [""; 0]);
    let mut client = server.client().await;
    for _ in 0..3 {
        client.model_infer(fp32("first", "", &[1], &[2.0])).await.unwrap();
    }
    client.model_infer(fp32("second", "", &[1], &[2.0])).await.unwrap();
    let count = async |name: &str| {
        let text = server.get(&format!("/v2/models/{name}/stats")).await.text();
        text.split("\"execution_count\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned()
    };
    assert_eq!((count("one::both").await, count("two::both").await), ("3".to_owned(), "1".to_owned()));
}

fn agent(name: &str, key: &str, value: &str) -> String {
    format!(
        "model_repository_agents {{ agents {{ name: \"{name}\" parameters {{ key: \"{key}\" value: \"{value}\" }} }} }}"
    )
}

#[tokio::test]
async fn a_file_with_another_digest_keeps_its_model_from_being_loaded() {
    let good = agent("checksum", "MD5:1/weights", "5d41402abc4b2a76b9719d911017c592");
    let repository = Repository::default().with("m", &identity_config(0, &good));
    repository.write("m/1/weights", "hello");
    let server = TestServer::start(repository).await;
    let mut client = server.client().await;
    client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();

    fs::write(server.repository.path().join("m/1/weights"), "changed").unwrap();
    let error = server.core.load("m", LoadOverrides::default()).await.unwrap_err();
    let why = "Mismatched MD5 hash for file 1/weights, expect: 5d41402abc4b2a76b9719d911017c592, got: ";
    assert!(error.message().contains(why), "{error}");
    let (_, state) = server.core.index(false)[0].version.clone().unwrap();
    assert!(state.reason.contains(why), "{}", state.reason);
    client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();
}

#[tokio::test]
async fn agents_that_are_not_there_are_refused_by_name() {
    let repository = Repository::default().with("m", &identity_config(0, &agent("decrypt", "k", "v")));
    let (server, faults) = TestServer::start_with(repository, |_| {}).await;
    assert_eq!(faults.len(), 1, "a start that ends on errors ends: {faults:?}");
    let error = server.core.load("m", LoadOverrides::default()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "model 'm' wants the repository agent 'decrypt', which this server does not have; it has checksum"
    );
}
