//! The model in this process beside the same model served.

use std::sync::Arc;

use clap::Parser;
use hippocamp_bench::{BenchArgs, Local, Protocol, bench};
use hippocamp_testing::{Repository, TestServer, identity_config};
use serde_json::Value;

use crate::run::answered;

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_are_measured_side_by_side() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(8, ""))).await;
    let places = vec![(Protocol::Http, server.http.to_string()), (Protocol::Grpc, server.grpc.to_string())];
    let local = Local { server: Arc::clone(&server.core), served: places };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (json, csv, svg) = (file("r.json"), file("r.csv"), file("r.svg"));
    let args =
        ["bench", "m", "--local", "--model-repository=x", "--shape=INPUT0:4", "-c=1,3", "--requests=40"];
    let files = ["--json", &json, "--csv", &csv, "--svg", &svg, "--warm-up=0"];
    let report =
        bench(&BenchArgs::parse_from(args.iter().copied().chain(files)), Some(&local)).await.unwrap();
    assert!(!report.has_failures());

    let document: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let results = document["results"].as_array().unwrap();
    let transports: Vec<&str> = results.iter().map(|result| result["protocol"].as_str().unwrap()).collect();
    assert_eq!(transports, ["local", "local", "http", "http", "grpc", "grpc"]);
    assert!(results.iter().all(|result| result["requests"] == 40 && result["failed"] == 0), "{document}");
    assert_eq!(answered(&server, "m").await, 3 * (2 * 40 + 1));

    let lines = std::fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 7);
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{lines:?}");
    assert!(lines[1].starts_with("local,1,,0,1,"), "{}", lines[1]);

    let picture = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(picture.matches("<path class=\"curve c0\"").count(), 2, "a curve and its mark");
    assert!(picture.contains("gRPC, concurrency 3"));
    let table = report.table();
    assert!(table.contains("in process, concurrency 1") && table.contains("HTTP, concurrency 3"), "{table}");
}
