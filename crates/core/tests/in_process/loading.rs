//! Models that load and unload models.

use hippocamp_backend::{Code, InProcessOverrides, Response};
use hippocamp_core::ControlMode;
use hippocamp_in_process::call;

use crate::kit::{
    answer, around, ask, blocking, caller, input, request, server, server_with, shown, target, twin,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_loads_another_calls_it_and_unloads_it() {
    let server = server(|server, request| {
        assert!(!server.is_model_ready("other", None)?);
        server.load("other", InProcessOverrides::default())?;
        assert!(server.is_model_ready("other", None)?);
        let served = server.model("other", Some(1))?;
        assert_eq!((served.version, served.versions, served.interface.decoupled), (1, vec![1], false));
        let found = ask(server, "other", input(request))?;
        server.unload("other", false)?;
        assert_eq!(ask(server, "other", 1).unwrap_err().code(), Code::NotFound);
        Ok(answer(found))
    });
    server.write("other", &twin());
    server.load("caller", &caller(1)).await;
    for number in 0..5 {
        assert_eq!(server.ask("caller", number).await.unwrap(), number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_takes_a_config_and_files_and_tells_what_is_wrong() {
    let server = server(|_, _| Ok(Response::default()));
    let in_process = server.in_process();
    blocking(move || {
        let tensor = |name: &str| format!(r#"[{{"name":"{name}","data_type":"TYPE_INT32","dims":[1]}}]"#);
        let (inputs, outputs) = (tensor("INPUT0"), tensor("OUTPUT0"));
        let config = format!(r#"{{"backend":"identity","input":{inputs},"output":{outputs}}}"#);
        let files = vec![("1/model".to_owned(), bytes::Bytes::new())];
        let given = InProcessOverrides { config: Some(config), files };
        in_process.load("brought", given).unwrap();
        assert_eq!(ask(&*in_process, "brought", 6).unwrap(), 6);
        let config = Some(r#"{"backend":"nothing"}"#.to_owned());
        let wrong = InProcessOverrides { config, ..InProcessOverrides::default() };
        let error = in_process.load("brought", wrong).unwrap_err();
        assert!(error.message().contains("brought"), "{error}");
        let error = in_process.load("nobody", InProcessOverrides::default()).unwrap_err();
        assert!(error.message().contains("nobody"), "{error}");
        assert_eq!(ask(&*in_process, "brought", 7).unwrap(), 7, "a failed load leaves what serves");
    })
    .await;
}

#[tokio::test]
async fn only_explicit_control_lets_models_load_models() {
    let server =
        server_with(|settings| settings.control_mode = ControlMode::None, |_, _| Ok(Response::default()));
    let in_process = server.in_process();
    blocking(move || {
        let text = "explicit model load / unload is not allowed if polling is enabled";
        let errors = [
            in_process.load("m", InProcessOverrides::default()).unwrap_err(),
            in_process.unload("m", true).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.code(), error.message()), (Code::Unavailable, text));
        }
    })
    .await;
}

/// Whoever waited for the end of the model would wait for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_unloads_itself_and_what_it_is_called_by() {
    let server = server(|server, request| {
        server.unload(&target(request), true)?;
        Ok(answer(input(request)))
    });
    server.load("caller", &caller(1)).await;
    server.load("around", &around("caller")).await;
    let in_process = server.in_process();
    let unload = |target: &str| {
        let mut request = request("around", 3);
        request.parameters.set("target", hippocamp_backend::ParameterValue::String(target.to_owned().into()));
        request
    };
    for target in ["around", "caller"] {
        let (in_process, request) = (in_process.clone(), unload(target));
        let answer = blocking(move || shown(&call(&*in_process, request).unwrap().next().unwrap()));
        assert_eq!(answer.await, "3 true");
        assert!(server.core.model(target, None).is_err());
        server.load("caller", &caller(1)).await;
        server.load("around", &around("caller")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_loads_a_model_that_stands_by() {
    let server = server_with(
        |settings| (settings.lazy_load, settings.control_mode) = (true, ControlMode::None),
        |server, request| {
            let target = target(request);
            assert!(server.is_model_ready(&target, None)?);
            ask(server, &target, input(request)).map(answer)
        },
    );
    server.write("twin", &twin());
    server.write("other", &twin());
    server.write("broken", "backend: \"fail\"");
    server.write("caller", &caller(1));
    server.core.load_repositories().await;
    assert_eq!(server.ask("caller", 5).await.unwrap(), 5);
    let in_process = server.in_process();
    let (error, index) = blocking(move || {
        assert_eq!(in_process.model("other", None).unwrap().version, 1, "it is loaded to be looked at");
        let failed = call(&*in_process, request("broken", 1)).unwrap().next().unwrap();
        let wrong = hippocamp_backend::InProcessRequest::new("twin");
        call(&*in_process, wrong).unwrap_err();
        (shown(&failed), in_process.index(true).unwrap())
    })
    .await;
    assert!(error.contains("broken") && error.ends_with(" true"), "{error}");
    assert!(index.iter().any(|line| line.name == "twin" && line.state == "READY" && line.version == Some(1)));
}
