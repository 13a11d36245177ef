//! Calls of decoupled models, and back pressure.

use std::sync::Arc;

use hippocamp_backend::{InProcessEvent, Response};
use hippocamp_in_process::{call, call_back};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::kit::{
    Gate, REPEAT, answer, blocking, caller, input, number, repeat, request, server, shown, twin,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_reads_the_answers_of_a_decoupled_one_in_order() {
    let server = server(|server, request| {
        let mut call = call(server, repeat("repeat", input(request)))?;
        let mut sum = 0;
        while let Some(event) = call.next() {
            match event {
                InProcessEvent::Response { response, last: false } => sum = sum * 2 + number(&response),
                InProcessEvent::End => return Ok(answer(sum)),
                other => panic!("{other:?}"),
            }
        }
        panic!("there was no end")
    });
    server.load("repeat", REPEAT).await;
    server.load("caller", &caller(2)).await;
    let expected = |count| (0..count).fold(0, |sum, number| sum * 2 + number);
    for count in [0, 1, 7, 20] {
        assert_eq!(server.ask("caller", count).await.unwrap(), expected(count));
    }
}

/// Sends all answers of a model to a channel, in short.
fn collected(
    server: &dyn hippocamp_backend::InProcessServer,
    count: i32,
    before: impl Fn() + Send + 'static,
) -> oneshot::Receiver<Vec<String>> {
    let (told, heard) = oneshot::channel();
    let (mut told, mut all) = (Some(told), Vec::new());
    let callback = move |event: InProcessEvent| {
        before();
        all.push(shown(&event));
        if event.is_last() {
            told.take().unwrap().send(std::mem::take(&mut all)).unwrap();
        }
    };
    call_back(server, repeat("repeat", count), callback).unwrap();
    heard
}

fn in_order(count: i32) -> Vec<String> {
    (0..count).map(|number| format!("{number} false")).chain(["end".to_owned()]).collect()
}

/// More streams than any machine has processors, each blocked in its callback: another one still goes on, and the model's only
/// instance is never held by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_blocks_holds_up_its_own_stream_alone() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("repeat", REPEAT).await;
    server.load("twin", &twin()).await;
    let gate = Arc::new(Gate::default());
    let in_process = server.in_process();
    let blocked: Vec<_> = (0..64)
        .map(|_| {
            let gate = Arc::clone(&gate);
            collected(&*in_process, 50, move || gate.pass())
        })
        .collect();
    assert_eq!(collected(&*in_process, 500, || {}).await.unwrap(), in_order(500));
    assert_eq!(server.ask("twin", 4).await.unwrap(), 4);
    gate.open();
    for stream in blocked {
        assert_eq!(stream.await.unwrap(), in_order(50));
    }
}

#[tokio::test]
async fn a_cancelled_stream_has_an_end_and_nothing_behind_it() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("repeat", REPEAT).await;
    let in_process = server.in_process();
    let last = blocking(move || {
        let mut call = call(&*in_process, repeat("repeat", 100_000)).unwrap();
        let first = call.next().unwrap();
        assert_eq!(shown(&first), "0 false");
        call.cancel();
        let last = std::iter::from_fn(|| call.next()).last().unwrap();
        assert!(call.next().is_none());
        shown(&last)
    });
    let last = last.await;
    assert!(last.starts_with("Cancelled: ") && last.ends_with(" true"), "{last}");
}

/// A request that waits in a queue is cancelled when its turn comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_that_waits_is_not_executed() {
    let (gate, executed) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Vec::new())));
    let (waits, notes) = (Arc::clone(&gate), Arc::clone(&executed));
    let server = server(move |_, request| {
        notes.lock().push(input(request));
        waits.pass();
        Ok(answer(input(request)))
    });
    server.load("caller", &caller(1)).await;
    let in_process = server.in_process();
    let first = call_shown(&*in_process, 1);
    while executed.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let (told, heard) = oneshot::channel();
    let mut told = Some(told);
    let callback = move |event: InProcessEvent| told.take().unwrap().send(shown(&event)).unwrap();
    let cancel = call_back(&*in_process, request("caller", 2), callback).unwrap();
    let third = call_shown(&*in_process, 3);
    cancel.cancel();
    gate.open();
    assert_eq!((first.await.unwrap(), third.await.unwrap()), ("1 true".to_owned(), "3 true".to_owned()));
    let cancelled = heard.await.unwrap();
    assert!(cancelled.starts_with("Cancelled: ") && cancelled.ends_with(" true"), "{cancelled}");
    assert_eq!(*executed.lock(), [1, 3]);
}

fn call_shown(server: &dyn hippocamp_backend::InProcessServer, number: i32) -> oneshot::Receiver<String> {
    let (told, heard) = oneshot::channel();
    let mut told = Some(told);
    let callback = move |event: InProcessEvent| told.take().unwrap().send(shown(&event)).unwrap();
    call_back(server, request("caller", number), callback).unwrap();
    heard
}
