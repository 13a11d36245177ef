//! Calls of models that answer once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hippocamp_backend::{
    Code, InProcessEvent, InProcessRequest, ModelId, ParameterValue, RequestContext, RequestEvent,
    RequestObserver, Response,
};
use hippocamp_in_process::{call, call_back};
use hippocamp_tensor::DataType;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::kit::{Gate, answer, around, ask, blocking, caller, input, request, server, shown, target, twin};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_calls_models_and_ensembles() {
    let server = server(|server, request| {
        let sum = ask(server, "twin", input(request))? + ask(server, "around", 100)?;
        Ok(answer(sum))
    });
    server.load("twin", &twin()).await;
    server.load("around", &around("twin")).await;
    server.load("caller", &caller(2)).await;
    let asked = (0..50).map(|number| server.ask("caller", number));
    for (number, sum) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!(sum.unwrap(), number as i32 + 100);
    }
    let counted = ["twin", "around", "caller"].map(|model| server.counters(model).success.count);
    assert_eq!(counted, [100, 50, 50], "they are counted as requests of clients are");
}

/// Each request calls its own model with the next smaller number: as many instances as numbers are needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_calls_itself_as_deep_as_it_has_instances() {
    let server = server(|server, request| match input(request) {
        0 => Ok(answer(0)),
        number => Ok(answer(ask(server, "caller", number - 1)? + number)),
    });
    server.load("caller", &caller(2)).await;
    for _ in 0..20 {
        assert_eq!(server.ask("caller", 1).await.unwrap(), 1);
    }
    server.load("caller", &caller(5)).await;
    assert_eq!(server.ask("caller", 4).await.unwrap(), 10);
}

#[tokio::test]
async fn a_call_is_refused_as_a_clients_is() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("twin", &twin()).await;
    server.write("other", &twin());
    let in_process = server.in_process();
    let errors = blocking(move || {
        let fail = |request| call(&*in_process, request).unwrap_err();
        let of_type = |data_type| {
            InProcessRequest::new("twin").with_input("INPUT0", data_type, [1], Bytes::from_static(b"1234"))
        };
        let version = InProcessRequest { version: Some(7), ..request("twin", 1) };
        let output = InProcessRequest { outputs: vec!["no".into()], ..request("twin", 1) };
        [
            fail(request("nobody", 1)),
            fail(request("other", 1)),
            fail(version),
            fail(InProcessRequest::new("twin")),
            fail(of_type(DataType::Fp32)),
            fail(of_type(DataType::Int32).with_input("IN2", DataType::Int32, [1], Bytes::new())),
            fail(output),
        ]
    });
    let errors = errors.await;
    assert_eq!(errors[0].code(), Code::NotFound);
    assert_eq!(errors[0].message(), "Request for unknown model: 'nobody' is not found");
    assert_eq!(errors[1].code(), Code::NotFound);
    assert!(errors[3..].iter().all(|error| error.code() == Code::InvalidArg), "{errors:?}");
    assert_eq!(server.counters("twin").success.count, 0);
}

#[tokio::test]
async fn a_thread_that_serves_connections_does_not_wait() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("twin", &twin()).await;
    let in_process = server.in_process();
    let error = call(&*in_process, request("twin", 1)).unwrap_err();
    assert!(error.message().contains("'twin' on a thread that serves connections"), "{error}");
    in_process.unload("twin", false).unwrap_err();
    // A call that is answered by a callback waits for nothing.
    let (told, heard) = tokio::sync::oneshot::channel();
    let mut told = Some(told);
    let callback = move |event: InProcessEvent| drop(told.take().unwrap().send(shown(&event)));
    call_back(&*in_process, request("twin", 8), callback).unwrap();
    assert_eq!(heard.await.unwrap(), "8 true");
}

/// Tells when it is dropped.
struct Told(Arc<AtomicUsize>);

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        &[1, 0, 0, 0]
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn inputs_are_given_back_also_by_a_call_that_is_refused() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("twin", &twin()).await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let (in_process, counted) = (server.in_process(), Arc::clone(&dropped));
    blocking(move || {
        let lent = |model: &str| {
            let data = Bytes::from_owner(Told(Arc::clone(&counted)));
            InProcessRequest::new(model).with_input("INPUT0", DataType::Int32, [1], data)
        };
        call(&*in_process, lent("nobody")).unwrap_err();
        assert_eq!(counted.load(Ordering::SeqCst), 1);
        call(&*in_process, lent("twin").with_input("X", DataType::Int32, [1], Bytes::new())).unwrap_err();
        assert_eq!(counted.load(Ordering::SeqCst), 2);
        // The answer of this model is its input.
        let response = call(&*in_process, lent("twin")).unwrap().only().unwrap();
        assert_eq!(counted.load(Ordering::SeqCst), 2);
        drop(response);
    })
    .await;
    while dropped.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
}

/// Callbacks of many threads at once, each of which is called once; some call further models.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_may_call_and_each_call_has_one_answer() {
    let server = server(|_, _| Ok(Response::default()));
    server.load("twin", &twin()).await;
    server.load("around", &around("twin")).await;
    let mut threads = JoinSet::new();
    for thread in 0..8 {
        let in_process = server.in_process();
        threads.spawn(blocking(move || {
            let answers = Arc::new(Mutex::new(Vec::new()));
            let all = Arc::new(Gate::default());
            for number in 0..100 {
                let (answers, all, again) = (Arc::clone(&answers), Arc::clone(&all), Arc::clone(&in_process));
                let model = if number % 2 == 0 { "twin" } else { "around" };
                let callback = move |event: InProcessEvent| {
                    let InProcessEvent::Response { response, last: true } = event else {
                        panic!("{event:?}")
                    };
                    let (answers, all) = (Arc::clone(&answers), Arc::clone(&all));
                    let further = ask(&*again, "twin", crate::kit::number(&response) + 1).unwrap();
                    let mut answers = answers.lock();
                    answers.push(further);
                    if answers.len() == 100 {
                        all.open();
                    }
                };
                call_back(&*in_process, request(model, thread * 1000 + number), callback).unwrap();
            }
            all.pass();
            let mut answers = answers.lock().clone();
            answers.sort_unstable();
            assert!(answers.into_iter().eq((1..=100).map(|number| thread * 1000 + number)));
        }));
    }
    while let Some(done) = threads.join_next().await {
        done.unwrap();
    }
}

/// Notes which model tells it of which end.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<String>>);

impl RequestObserver for Noting {
    fn on_event(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        if let RequestEvent::Ended { .. } = event {
            self.0.lock().push(format!("{} {}", model.name, context.id));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_carry_ids_parameters_and_observers() {
    let noting = Arc::new(Noting::default());
    let observer = Arc::clone(&noting);
    let server = server(move |server, request| {
        if input(request) == 0 {
            assert_eq!((request.id().as_ref(), target(request).as_str()), ("second", "there"));
            return Ok(answer(1));
        }
        let mut next = crate::kit::request("caller", 0);
        next.id = "second".into();
        next.observer = Some(Arc::clone(&observer) as Arc<dyn RequestObserver>);
        next.parameters.set("target", ParameterValue::String("there".into()));
        call(server, next)?.only().map(|response| answer(crate::kit::number(&response)))
    });
    server.load("caller", &caller(2)).await;
    assert_eq!(server.ask("caller", 5).await.unwrap(), 1);
    assert_eq!(*noting.0.lock(), ["caller second"]);
}
