//! Stubs of the Python backend that end while the backend waits for them, with a backend in C in its place: nothing hangs but
//! the call itself, and what it has is finalized in order if it returns.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::io::{Result as Written, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use hippocamp_backend::Backend;
use hippocamp_backend_triton::{HostSettings, TritonBackends, write_metrics};
use hippocamp_testing::{Repository, TestServer};
use kit::{Backends, TENSORS, source};
use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The name of a model that has no `model.py`.
const WITHOUT_CODE: &str = "without_code";

/// What the crate that looks for processes has logged, of all tests.
static LOG: Mutex<String> = Mutex::new(String::new());

/// Writes into it.
struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> Written<usize> {
        LOG.lock().unwrap().push_str(&String::from_utf8_lossy(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> Written<()> {
        Ok(())
    }
}

/// The backend in the place of the Python backend.
struct Stubs(Backends);

impl Stubs {
    fn new() -> Stubs {
        let backends = Backends { folder: tempfile::tempdir().unwrap() };
        backends.compile("python", &source("stub.c"), "libtritonserver.so");
        let trial = backends.folder.path().join("python/triton_python_backend_stub");
        std::fs::write(&trial, "#!/bin/sh\nexit 1\n").unwrap();
        let mut mode = std::fs::metadata(&trial).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
        std::fs::set_permissions(&trial, mode).unwrap();
        Stubs(backends)
    }

    /// Has calls wait, or no more.
    fn hang(&self, what: &str, hangs: bool) {
        let file = self.file(what);
        if hangs { std::fs::write(file, "").unwrap() } else { std::fs::remove_file(file).unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.folder.path().join("python").join(name)
    }

    fn events(&self) -> Vec<String> {
        self.0.events_so_far()
    }

    /// Waits until there are so many events that begin so, and returns the rest of the last of them.
    async fn event(&self, begin: &str, count: usize) -> String {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let events = self.events();
            let found: Vec<_> =
                events.iter().filter_map(|event| event.strip_prefix(begin)?.strip_prefix(' ')).collect();
            if found.len() >= count {
                return found[count - 1].to_owned();
            }
            assert!(Instant::now() < until, "{count} times {begin}: {events:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends a process that was started, and returns its region.
    async fn kill(&self, kind: &str, count: usize) -> PathBuf {
        let told = self.event(kind, count).await;
        let (pid, region) = told.split_once(' ').unwrap();
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        PathBuf::from("/dev/shm").join(region)
    }

    /// The same while the call that started it still waits for it, once the server has seen it alive: the region of a process that
    /// nobody saw is not known, and stays until the server ends.
    async fn kill_as_it_starts(&self, kind: &str, count: usize) -> PathBuf {
        let told = self.event(kind, count).await;
        let region = format!("\"{}\"", told.split_once(' ').unwrap().1);
        let until = Instant::now() + Duration::from_mins(1);
        while !LOG.lock().unwrap().contains(&region) {
            assert!(Instant::now() < until, "{region} was not seen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.kill(kind, count).await
    }

    async fn start(&self, models: &[&str]) -> (TestServer, Vec<String>) {
        static LOGS: Once = Once::new();
        LOGS.call_once(|| {
            let of_processes = Targets::new().with_target("hippocamp_python_stubs", LevelFilter::DEBUG);
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Log);
            tracing_subscriber::registry().with(lines.with_filter(of_processes)).init();
        });
        let path = self.0.events().display().to_string();
        let setting = |key: &str, value: String| ("python".to_owned(), key.to_owned(), value);
        let config = vec![setting("events", path), setting("shared-core", "auto".to_owned())];
        let settings = HostSettings { config, ..self.0.settings() };
        let mut repository = Repository::default();
        for name in models {
            repository = repository.with(name, &format!("backend: \"python\" {TENSORS}"));
            if *name != WITHOUT_CODE {
                repository.write(&format!("{name}/1/model.py"), "");
            }
        }
        let backends: Vec<Arc<dyn Backend>> = vec![Arc::new(TritonBackends::new(settings))];
        let (server, faults) = TestServer::start_with_backends(repository, |_| {}, backends).await;
        server.core.add_metrics(write_metrics);
        (server, faults)
    }
}

async fn infer(server: &TestServer, model: &str) -> (u16, String) {
    let inputs = json!([{"name": "IN", "datatype": "INT32", "shape": [1, 1], "data": [1]}]);
    let body = json!({ "inputs": inputs }).to_string();
    let reply = server.post(&format!("/v2/models/{model}/infer"), body.as_bytes()).await;
    (reply.status, reply.text())
}

async fn is_ready(server: &TestServer, model: &str) -> bool {
    server.get(&format!("/v2/models/{model}/ready")).await.status == 200
}

async fn becomes_ready(server: &TestServer, model: &str, ready: bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while is_ready(server, model).await != ready {
        assert!(Instant::now() < until, "{model} ready: {ready} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the index says of a model: state and reason.
async fn indexed(server: &TestServer, model: &str) -> (String, String) {
    let reply = server.post("/v2/repository/index", b"{}").await;
    let index: Value = serde_json::from_slice(&reply.body).unwrap();
    let found = index.as_array().unwrap().iter().find(|entry| entry["name"] == model).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

/// A value of the page of metrics.
async fn metric(server: &TestServer, name: &str) -> f64 {
    let page = server.scrape().await.text();
    let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_initialization_whose_process_ends_fails_its_load_and_nothing_else() {
    let stubs = Stubs::new();
    stubs.hang("hang_instance", true);
    let (started, region) = tokio::join!(stubs.start(&["m"]), stubs.kill_as_it_starts("Stub", 1));
    let (server, faults) = started;
    let expected = "the process of the Python model 'm_0' has ended while it started (signal: 9)";
    assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
    assert!(!region.try_exists().unwrap(), "nobody else removes it");
    assert!(metric(&server, "nv_backend_calls_left_alone ").await >= 1.0);
    assert!(!stubs.events().iter().any(|event| event.contains("Finalize")), "{:?}", stubs.events());
    // Another load of it is another model of the backend, while the call still waits: its processes may be of the same name.
    let (reply, _) =
        tokio::join!(server.post("/v2/repository/models/m/load", b"{}"), stubs.kill_as_it_starts("Stub", 2));
    assert!(reply.text().contains(expected), "{}", reply.text());
    stubs.hang("hang_instance", false);
    for event in ["InstanceFinalized", "ModelFinalize"] {
        stubs.event(event, 2).await;
    }
    assert_eq!(server.post("/v2/repository/models/m/load", b"{}").await.status, 200);
    assert_eq!(infer(&server, "m").await.0, 200);
    assert!(server.stop(Duration::from_secs(30)).await);
    stubs.event("Finalize", 1).await;
    let events = stubs.events();
    let place = |event: &str| events.iter().position(|other| other == event).unwrap();
    assert!(place("InstanceFinalized m_0") < place("ModelFinalize m"), "{events:?}");
    assert_eq!(events.last().unwrap(), "Finalize -");
}

#[tokio::test]
async fn a_completion_whose_process_ends_fails_its_load() {
    let stubs = Stubs::new();
    stubs.hang("hang_model", true);
    let (started, region) = tokio::join!(stubs.start(&["m"]), stubs.kill_as_it_starts("CompletionStub", 1));
    let (server, faults) = started;
    assert!(
        faults.len() == 1 && faults[0].contains("'m' has ended while it started (signal: 9)"),
        "{faults:?}"
    );
    assert!(!region.try_exists().unwrap());
    assert!(server.stop(Duration::from_secs(30)).await, "a call that hangs stops no end");
    let left = || {
        let marks = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let prefix =
            region.file_name().unwrap().to_str().unwrap().trim_end_matches(char::is_numeric).to_owned();
        marks
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&*prefix)))
            .count()
    };
    assert_eq!(left(), 0, "neither a region nor the mark");
    stubs.hang("hang_model", false);
    stubs.event("ModelFinalize", 1).await;
}

#[tokio::test]
async fn waits_for_processes_that_have_ended_are_ended_and_nothing_is_left_alone() {
    let stubs = Stubs::new();
    stubs.hang("wait_model", true);
    let (started, region) = tokio::join!(stubs.start(&["m"]), stubs.kill_as_it_starts("CompletionStub", 1));
    let (server, faults) = started;
    assert!(
        faults.len() == 1 && faults[0].contains("'m' has ended while it started (signal: 9)"),
        "{faults:?}"
    );
    assert!(!region.try_exists().unwrap());
    // It has thrown, and all is finalized though nobody has posted.
    stubs.event("ModelFinalize", 1).await;
    assert!(!stubs.events().iter().any(|event| event.starts_with("Woken")));
    stubs.hang("wait_model", false);
    stubs.hang("wait_instance", true);
    let load = || server.post("/v2/repository/models/m/load", b"{}");
    let (reply, region) = tokio::join!(load(), stubs.kill_as_it_starts("Stub", 1));
    let expected = "the process of the Python model 'm_0' has ended while it started (signal: 9)";
    assert!(reply.text().contains(expected), "{}", reply.text());
    assert!(!region.try_exists().unwrap());
    stubs.event("InstanceFinalized", 1).await;
    stubs.event("ModelFinalize", 2).await;
    stubs.hang("wait_instance", false);
    assert_eq!(load().await.status, 200);
    assert_eq!(infer(&server, "m").await.0, 200);
    // A finalization must not throw: its wait ends as if it was woken.
    stubs.hang("wait_finalize", true);
    stubs.kill("Stub", 2).await;
    assert_eq!(stubs.event("Woken", 1).await, "finalize");
    stubs.event("InstanceFinalized", 2).await;
    stubs.hang("wait_finalize", false);
    becomes_ready(&server, "m", true).await;
    assert_eq!(infer(&server, "m").await.0, 200);
    assert!(server.stop(Duration::from_secs(30)).await);
    assert_eq!(stubs.events().last().unwrap(), "Finalize -");
}

#[tokio::test]
async fn an_idle_instance_whose_process_ends_is_made_anew_though_its_finalization_hangs() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m", "other"]).await;
    assert_eq!(faults, [""; 0]);
    assert!(is_ready(&server, "m").await);
    stubs.hang("hang_finalize", true);
    let of_m = stubs.events().iter().filter(|event| event.starts_with("Stub ")).count();
    assert_eq!(of_m, 2);
    // Which of both is of which model does not matter: neither is asked anything.
    let region = stubs.kill("Stub", 1).await;
    stubs.event("Stub", 3).await;
    for model in ["m", "other"] {
        becomes_ready(&server, model, true).await;
        assert_eq!(infer(&server, model).await.0, 200);
    }
    assert!(!region.try_exists().unwrap());
    stubs.hang("hang_finalize", false);
    stubs.event("InstanceFinalized", 1).await;
    assert!(server.stop(Duration::from_secs(30)).await);
    assert_eq!(stubs.events().last().unwrap(), "Finalize -");
}

#[tokio::test]
async fn an_exception_that_leaves_a_finalization_ends_its_thread_and_nothing_else() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m", "other"]).await;
    assert_eq!(faults, [""; 0]);
    // It is that of the process, in which other tests run.
    let before = metric(&server, "nv_backend_calls_left_alone ").await;
    stubs.hang("terminate", true);
    assert_eq!(server.post("/v2/repository/models/m/unload", b"{}").await.status, 200);
    assert_eq!(stubs.event("Terminates", 1).await, "now", "there is C++'s library");
    stubs.hang("terminate", false);
    let until = Instant::now() + Duration::from_mins(1);
    while metric(&server, "nv_backend_calls_left_alone ").await <= before {
        assert!(Instant::now() < until, "the call is left alone");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.post("/v2/repository/models/m/load", b"{}").await.status, 200);
    for model in ["m", "other"] {
        assert_eq!(infer(&server, model).await.0, 200);
    }
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn an_exception_that_ends_a_thread_of_an_instance_ends_that_instance_and_nothing_else() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m", "other"]).await;
    assert_eq!(faults, [""; 0]);
    for times in 1..=2 {
        stubs.hang("terminate_listener", true);
        assert_eq!(stubs.event("Terminates", times).await, "now", "there is C++'s library");
        // Its thread is waited for when the instance is finalized, and another one is made.
        stubs.event("InstanceFinalized", times).await;
        stubs.event("Stub", 2 + times).await;
        for model in ["m", "other"] {
            becomes_ready(&server, model, true).await;
            assert_eq!(infer(&server, model).await.0, 200);
        }
    }
    assert!(server.stop(Duration::from_secs(30)).await);
    assert_eq!(stubs.events().last().unwrap(), "Finalize -");
}

#[tokio::test]
async fn an_exception_that_leaves_an_execution_loses_its_thread_and_nothing_else() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m", "other"]).await;
    assert_eq!(faults, [""; 0]);
    stubs.hang("terminate_execute", true);
    assert_eq!(infer(&server, "m").await.0, 200, "it is answered before");
    assert_eq!(stubs.event("Terminates", 1).await, "now", "there is C++'s library");
    assert_eq!(infer(&server, "other").await.0, 200);
    stubs.event("Stub", 3).await;
    becomes_ready(&server, "m", true).await;
    assert_eq!(infer(&server, "m").await.0, 200);
    assert!(metric(&server, "nv_backend_calls_left_alone ").await >= 1.0);
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn an_execution_that_waits_for_a_process_which_has_ended_does_not_keep_its_instance() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    stubs.hang("hang_execute", true);
    assert_eq!(infer(&server, "m").await.0, 200, "it is answered before the call hangs");
    let region = stubs.kill("Stub", 1).await;
    // Another one is made while the call still waits, and the model can be asked, unloaded and loaded.
    stubs.event("Stub", 2).await;
    becomes_ready(&server, "m", true).await;
    assert!(metric(&server, "nv_backend_calls_left_alone ").await >= 1.0);
    assert!(!region.try_exists().unwrap(), "nobody else removes it");
    assert!(!stubs.events().iter().any(|event| event.starts_with("InstanceFinalize")));
    // The new one is killed, too, and hangs in an execution when the model is unloaded.
    assert_eq!(infer(&server, "m").await.0, 200);
    stubs.kill("Stub", 2).await;
    assert_eq!(server.post("/v2/repository/models/m/unload", b"{}").await.status, 200);
    stubs.hang("hang_execute", false);
    stubs.event("InstanceFinalized", 2).await;
    stubs.event("ModelFinalize", 1).await;
    assert_eq!(server.post("/v2/repository/models/m/load", b"{}").await.status, 200);
    assert_eq!(infer(&server, "m").await.0, 200);
    assert!(server.stop(Duration::from_secs(30)).await);
    assert_eq!(stubs.event("Finalize", 1).await, "-");
}

#[tokio::test]
async fn answers_that_wait_for_each_other_arrive_though_the_next_execution_hangs() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    // Its calls of semaphores are known.
    let binding = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) { "AsItWakes" } else { "" };
    assert!(LOG.lock().unwrap().contains(binding));
    let ask = || infer(&server, "m");
    // While so many wait, answers are sent together, if the machine is quick enough (`gathered.rs` tests that for itself).
    for _ in 0..100 {
        let all = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask());
        let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
        assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
    }
    stubs.hang("hang_execute", true);
    assert_eq!(ask().await.0, 200, "it is answered, and then the call hangs");
    let (first, second) = tokio::join!(ask(), async {
        stubs.hang("hang_execute", false);
        ask().await
    });
    assert_eq!((first.0, second.0), (200, 200));
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn a_model_whose_only_instance_is_lost_is_not_ready_until_it_is_made_anew() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    assert!(is_ready(&server, "m").await && server.get("/v2/health/ready").await.status == 200);
    assert_eq!(indexed(&server, "m").await, ("READY".to_owned(), String::new()));
    // The new one waits in its initialization.
    stubs.hang("hang_instance", true);
    stubs.kill("Stub", 1).await;
    stubs.event("Stub", 2).await;
    becomes_ready(&server, "m", false).await;
    assert_eq!(server.get("/v2/health/ready").await.status, 400);
    let (state, why) = indexed(&server, "m").await;
    assert_eq!(state, "UNAVAILABLE");
    assert!(why.starts_with("its instances are lost: ") && why.contains("'m_0' has ended"), "{why}");
    assert!((metric(&server, "nv_model_instances_lost{").await - 1.0).abs() < f64::EPSILON);
    stubs.hang("hang_instance", false);
    becomes_ready(&server, "m", true).await;
    assert_eq!(infer(&server, "m").await.0, 200);
    assert_eq!(indexed(&server, "m").await.0, "READY");
    assert!(metric(&server, "nv_model_instances_lost{").await.abs() < f64::EPSILON);
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn what_a_process_had_is_answered_and_no_handle_of_it_stays() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    stubs.hang("keep", true);
    let before = metric(&server, "nv_backend_handles_left ").await;
    let (answers, ()) = tokio::join!(
        async { tokio::join!(infer(&server, "m"), infer(&server, "m"), infer(&server, "m")) },
        async {
            stubs.event("Kept", 3).await;
            stubs.kill("Stub", 1).await;
        }
    );
    for (status, text) in [answers.0, answers.1, answers.2] {
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("the process of the Python model instance 'm_0' has ended"), "{text}");
    }
    stubs.hang("keep", false);
    becomes_ready(&server, "m", true).await;
    assert_eq!(infer(&server, "m").await.0, 200);
    // Each request and its factory.
    assert!(metric(&server, "nv_backend_handles_left ").await >= before + 6.0);
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn a_model_that_says_that_it_is_not_ready_is_not() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    assert!(is_ready(&server, "m").await);
    stubs.hang("unready", true);
    assert!(!is_ready(&server, "m").await);
    assert_eq!(server.get("/v2/health/ready").await.status, 200, "its instances are there");
    stubs.hang("unready", false);
    assert!(is_ready(&server, "m").await);
    // Who asks while an answer takes long gets the last one.
    stubs.hang("hang_ready", true);
    let asked = async {
        let mut first = Box::pin(is_ready(&server, "m"));
        let mut second = Box::pin(is_ready(&server, "m"));
        let (last, other) = tokio::select! {
            ready = &mut first => (ready, second),
            ready = &mut second => (ready, first),
        };
        assert!(last);
        stubs.hang("hang_ready", false);
        assert!(other.await);
    };
    asked.await;
    assert!(server.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn an_instance_that_never_says_whether_it_is_ready_is_made_anew_all_the_same() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&["m"]).await;
    assert_eq!(faults, [""; 0]);
    stubs.hang("hang_ready", true);
    let (ready, ()) = tokio::join!(is_ready(&server, "m"), async {
        stubs.event("Asked", 1).await;
        stubs.kill("Stub", 1).await;
        stubs.event("Stub", 2).await;
        let until = Instant::now() + Duration::from_mins(1);
        while infer(&server, "m").await.0 != 200 {
            assert!(Instant::now() < until, "the new one does not answer");
        }
        stubs.hang("hang_ready", false);
    });
    assert!(ready);
    assert!(server.stop(Duration::from_secs(30)).await);
    stubs.event("InstanceFinalized", 2).await;
    assert_eq!(stubs.event("Finalize", 1).await, "-");
}

#[tokio::test]
async fn a_model_without_code_is_told_before_a_stub_is_started() {
    let stubs = Stubs::new();
    let (server, faults) = stubs.start(&[WITHOUT_CODE]).await;
    let expected = format!("{WITHOUT_CODE}/1/model.py', No such file");
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert!(fault.contains(&format!("model '{WITHOUT_CODE}'")), "{fault}");
    assert!(fault.contains("Python model file not found in '") && fault.contains(&expected), "{fault}");
    let events = stubs.events();
    assert!(!events.iter().any(|event| event.contains("Stub")), "{events:?}");
    assert!(server.stop(Duration::from_secs(30)).await);
}
