//! The end of models and of the server while models call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hippocamp_backend::{Code, Response};
use hippocamp_core::{ControlMode, LoadOverrides};
use hippocamp_in_process::call_back;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::kit::{Gate, answer, ask, caller, input, request, server, server_with, shown, twin};

/// Each call is answered rightly or told that the model is not there; none hangs, and none meets a wrong model.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_come_and_go_while_they_are_called() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("twin", &twin()).await;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (in_process, over, answered) =
                (server.in_process(), Arc::clone(&over), Arc::clone(&answered));
            std::thread::spawn(move || {
                for number in 0.. {
                    let number = thread * 1_000_000 + number;
                    match ask(&*in_process, "twin", number) {
                        Ok(found) => {
                            assert_eq!(found, number);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            assert!(matches!(error.code(), Code::NotFound | Code::Unavailable), "{error:?}");
                        }
                    }
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        })
        .collect();
    for _ in 0..30 {
        let before = answered.load(Ordering::Relaxed);
        server.core.unload("twin", false).await.unwrap();
        server.core.load("twin", LoadOverrides::default()).await.unwrap();
        while answered.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_while_its_models_call() {
    let (gate, begun) = (Arc::new(Gate::default()), Arc::new(Mutex::new(0)));
    let (waits, counts) = (Arc::clone(&gate), Arc::clone(&begun));
    let server = server(move |server, request| {
        *counts.lock() += 1;
        waits.pass();
        // The server is stopping: the other model is not there any more.
        let error = ask(server, "twin", input(request)).unwrap_err();
        assert_eq!(server.is_model_ready("caller", None).unwrap_err().code(), Code::Unavailable);
        Err(error)
    });
    server.load("twin", &twin()).await;
    server.load("caller", &caller(2)).await;
    let in_process = server.in_process();
    let calls: Vec<_> = (0..5)
        .map(|number| {
            let (told, heard) = oneshot::channel();
            let mut told = Some(told);
            let callback = move |event| told.take().unwrap().send(shown(&event)).unwrap();
            call_back(&*in_process, request("caller", number), callback).unwrap();
            heard
        })
        .collect();
    while *begun.lock() < 2 {
        tokio::task::yield_now().await;
    }
    let core = Arc::clone(&server.core);
    let stopping = tokio::spawn(async move { core.stop(Duration::from_mins(1)).await });
    while server.core.model("twin", None).is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert!(stopping.await.unwrap(), "the models end");
    for call in calls {
        let answer = call.await.unwrap();
        assert!(answer.starts_with("Not found: ") && answer.ends_with(" true"), "{answer}");
    }
    call_back(&*in_process, request("twin", 1), |_| {}).unwrap_err();
}

/// A call that waits for a load is told of the end of the runtime that the load needs.
#[test]
fn a_call_that_waits_for_a_load_ends_with_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(async {
        let server = server_with(
            |settings| (settings.lazy_load, settings.control_mode) = (true, ControlMode::None),
            |_, _| Ok(Response::default()),
        );
        server.write("twin", &twin());
        server.core.load_repositories().await;
        server
    });
    let in_process = server.in_process();
    runtime.shutdown_background();
    let (told, heard) = std::sync::mpsc::channel();
    call_back(&*in_process, request("twin", 1), move |event| told.send(shown(&event)).unwrap()).unwrap();
    assert_eq!(heard.recv().unwrap(), "Unavailable: the server ended meanwhile true");
    let error = ask(&*in_process, "twin", 1).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_handle_does_not_keep_the_server() {
    let server = server(|_, request| Ok(answer(input(request))));
    server.load("twin", &twin()).await;
    let (handle, held) = (server.core.handle(), server.in_process());
    let weak = Arc::downgrade(&server.core);
    drop(server);
    assert!(weak.upgrade().is_none());
    let error = call_back(&*held, request("twin", 1), |_| {}).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    drop(held);
    assert_eq!(handle.get().unwrap_err().code(), Code::Unavailable);
}
