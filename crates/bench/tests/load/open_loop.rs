//! Open loops: requests are sent by the clock, and latencies count from when they were to be sent.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_testing::{Gate, Repository, TestServer, gate_config, identity_config};

use crate::run::{answered, both, results};

/// How long the server stands still.
const STALL: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_are_sent_as_the_rate_says() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    for random in [&[][..], &["--poisson"]] {
        let args = ["m", "--rate=100,400", "--requests=60", "--warm-up=0"];
        let args: Vec<&str> = args.iter().chain(random).copied().collect();
        for levels in both(&server, &args).await {
            for (level, rate) in levels.as_array().unwrap().iter().zip([100, 400]) {
                assert_eq!(
                    (&level["rate"], &level["requests"], &level["failed"]),
                    (&rate.into(), &60.into(), &0.into())
                );
                assert_eq!(level["is_poisson"], !random.is_empty());
                assert!(level["concurrency"].is_null());
                // Sent no faster than the rate: 59 times apart, which at random may be half as long.
                let seconds = level["seconds"].as_f64().unwrap();
                assert!(
                    seconds >= 59.0 / f64::from(rate) / if random.is_empty() { 1.0 } else { 3.0 },
                    "{level}"
                );
            }
        }
    }
    assert_eq!(answered(&server, "m").await, 2 * 2 * (2 * 60 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_at_a_rate_has_as_many_requests() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let levels = results(&server, "grpc", &["m", "--rate=200", "--seconds=0.5", "--warm-up=0.1"]).await;
    let requests = levels[0]["requests"].as_u64().unwrap();
    assert!((99..=101).contains(&requests), "{levels}");
    // One for each six of the 128 that may be under way.
    assert_eq!(levels[0]["connections"], 22);
}

/// What a slow server has not answered of the warm-up must not take the place of what is measured.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_far_above_what_the_server_can_do_is_measured_all_the_same() {
    let delay = "parameters { key: \"execute_delay_ms\" value { string_value: \"10\" } }";
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, delay))).await;
    // By one thread: each further one has times of its own, of which one more or less may be within.
    let args = [
        "m",
        "--rate=2000",
        "--seconds=0.5",
        "--warm-up=0.5",
        "--timeout=60",
        "--in-flight=4",
        "--threads=1",
    ];
    let levels = results(&server, "http", &args).await;
    let count = |name: &str| levels[0][name].as_u64().unwrap();
    assert!(count("requests") > 0, "{levels}");
    let all = ["requests", "failed", "not_sent"].map(count).iter().sum::<u64>();
    assert!(all >= 999, "each that was to be sent counts: {levels}");
    assert!(all as f64 <= 2000.0 * levels[0]["seconds"].as_f64().unwrap() + 2.0, "and counts once: {levels}");
    // Four at a time, for 10 ms each, and what was left is not sent for a minute behind that.
    assert!(count("not_sent") >= 700 && count("failed") == 0, "{levels}");
    assert!(count("requests") as f64 <= 400.0 * levels[0]["seconds"].as_f64().unwrap() + 8.0, "{levels}");
    assert!(
        levels[0]["latency_us"]["min"].as_f64().unwrap() < 1e6,
        "of a measured one, not of the warm-up: {levels}"
    );
}

/// The server stops for a while after the tenth request. All that were to be sent meanwhile have waited, not only the few that
/// were under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_the_latencies_of_all_whom_it_met() {
    for in_flight in ["--in-flight=1", "--in-flight=64"] {
        let gate = Gate::default();
        let repository = Repository::default().with("m", &gate_config(0, ""));
        let (server, faults) =
            TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
        assert_eq!(faults, [""; 0]);
        // The request before the load, and ten of the load.
        gate.open(1 + 10);
        let stall = async {
            gate.begun(1 + 10 + 1).await;
            tokio::time::sleep(STALL).await;
            gate.open(1_000);
        };
        let args = ["m", "--rate=200", "--requests=100", "--warm-up=0", in_flight];
        let (levels, ()) = tokio::join!(results(&server, "http", &args), stall);
        let level = &levels[0];
        assert_eq!((&level["requests"], &level["failed"]), (&100.into(), &0.into()), "{level}");
        let latency = |name: &str| level["latency_us"][name].as_f64().unwrap();
        // The first that the stall met waited for all of it, the next 5 ms less, and so on.
        let stall = STALL.as_secs_f64() * 1e6;
        assert!(latency("max") >= 0.99 * stall, "{level}");
        assert!(latency("p99") >= stall - 20_000.0, "{level}");
        assert!(latency("p90") >= stall - 75_000.0, "{level}");
    }
}
