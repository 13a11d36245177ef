//! Runs the command against a server of a test, and reads its results.

use clap::Parser;
use hippocamp_bench::{BenchArgs, bench};
use hippocamp_testing::TestServer;
use serde_json::Value;

pub(crate) fn arguments(server: &TestServer, protocol: &str, args: &[&str]) -> BenchArgs {
    let address = if protocol == "grpc" { server.grpc } else { server.http };
    let url = format!("--url={protocol}://{address}");
    BenchArgs::parse_from(["bench"].iter().chain(args).copied().chain([url.as_str()]))
}

/// The results as JSON over each protocol.
pub(crate) async fn both(server: &TestServer, args: &[&str]) -> [Value; 2] {
    [results(server, "http", args).await, results(server, "grpc", args).await]
}

pub(crate) async fn results(server: &TestServer, protocol: &str, args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result.json");
    let json = format!("--json={}", file.display());
    let args: Vec<&str> = args.iter().copied().chain([json.as_str()]).collect();
    let report = bench(&arguments(server, protocol, &args), None).await.unwrap();
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(
        document["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|result| result["protocol"].as_str().unwrap().starts_with(protocol))
    );
    let failed = |result: &Value| result["failed"] != 0;
    assert_eq!(report.has_failures(), document["results"].as_array().unwrap().iter().any(failed));
    document["results"].clone()
}

pub(crate) async fn failure(server: &TestServer, protocol: &str, args: &[&str]) -> String {
    bench(&arguments(server, protocol, args), None).await.unwrap_err().to_string()
}

/// How many requests for the model the server has answered.
pub(crate) async fn answered(server: &TestServer, model: &str) -> u64 {
    let statistics: Value =
        serde_json::from_slice(&server.get(&format!("/v2/models/{model}/stats")).await.body).unwrap();
    statistics["model_stats"][0]["inference_stats"]["success"]["count"].as_u64().unwrap()
}
