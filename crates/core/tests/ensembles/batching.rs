//! With a step in the middle that batches the requests of many clients, everything finds its way back to its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{Backend, ParameterValue, Response};

use crate::kit::{Gate, Scripted, Server, input, numbers, output};

const CLIENTS: usize = 64;

/// Makes a row of fixed size of pictures of any size. The size goes on twice: as a tensor that skips the network, and as
/// a parameter.
fn before() -> Arc<dyn Backend> {
    Scripted::backend("before", |_, request| {
        let picture = input(request, 0);
        let sum: i32 = picture.iter().sum();
        let outputs = [output(0, &[1, 4], &[sum; 4]), output(1, &[1, 1], &[picture.len() as i32])];
        let mut response = Response { outputs: outputs.into_iter().collect(), ..Response::default() };
        response.parameters.set("size", ParameterValue::Int64(picture.len() as i64));
        Ok(response)
    })
}

fn network(gate: &Arc<Gate>, taken: &Arc<AtomicUsize>) -> Arc<dyn Backend> {
    let (gate, taken) = (Arc::clone(gate), Arc::clone(taken));
    Scripted::backend("network", move |_, request| {
        taken.fetch_add(1, Ordering::SeqCst);
        gate.pass();
        let row: Vec<i32> = input(request, 0).iter().map(|x| x * 2).collect();
        let outputs = [output(0, &[1, 4], &row)].into_iter().collect();
        Ok(Response { outputs, ..Response::default() })
    })
}

fn after() -> Arc<dyn Backend> {
    Scripted::backend("after", |here, request| {
        let Some(ParameterValue::Int64(told)) = request.parameters.get("size") else {
            return Err(hippocamp_backend::Error::invalid_arg("no size was told"));
        };
        assert_eq!(here.interface.inputs.len(), 2);
        let result = [input(request, 0)[0], input(request, 1)[0], *told as i32];
        let outputs = [output(0, &[1, 3], &result)].into_iter().collect();
        Ok(Response { outputs, ..Response::default() })
    })
}

fn tensor(kind: &str, name: &str, dims: i64) -> String {
    format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: {dims} }} ")
}

fn map(field: &str, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{field} {{ key: \"{key}\" value: \"{value}\" }} "));
    pairs.collect::<Vec<_>>().concat()
}

fn write_models(server: &Server) {
    let tensors = [
        ("before", vec![tensor("input", "IN", -1), tensor("output", "ROW", 4), tensor("output", "SIZE", 1)]),
        ("network", vec![tensor("input", "ROW", 4), tensor("output", "HEAT", 4)]),
        (
            "after",
            vec![tensor("input", "HEAT", 4), tensor("input", "SIZE", 1), tensor("output", "RESULT", 3)],
        ),
    ];
    for (name, tensors) in &tensors {
        let batching = if *name == "network" { "dynamic_batching { }" } else { "" };
        let config = format!(
            "backend: \"{name}\" max_batch_size: 8 {} {batching} instance_group {{ count: 2 kind: KIND_CPU }}",
            tensors.concat()
        );
        server.write(name, &config, Some(1));
    }
    let steps = [
        (
            "before",
            map("input_map", &[("IN", "IN")]) + &map("output_map", &[("ROW", "row"), ("SIZE", "size")]),
        ),
        ("network", map("input_map", &[("ROW", "row")]) + &map("output_map", &[("HEAT", "heat")])),
        (
            "after",
            map("input_map", &[("HEAT", "heat"), ("SIZE", "size")])
                + &map("output_map", &[("RESULT", "OUT")]),
        ),
    ];
    let steps =
        steps.map(|(model, maps)| format!("step {{ model_name: \"{model}\" model_version: -1 {maps} }} "));
    let config = format!(
        "platform: \"ensemble\" max_batch_size: 8 {} {} ensemble_scheduling {{ {} }}",
        tensor("input", "IN", -1),
        tensor("output", "OUT", 3),
        steps.concat()
    );
    server.write("ens", &config, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_result_belongs_to_its_own_request() {
    let (gate, taken) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let server = Server::new(vec![before(), network(&gate, &taken), after()]);
    write_models(&server);
    server.load("ens").await.unwrap();
    let picture = |client: usize| -> Vec<i32> { (0..=client).map(|x| (x * client) as i32).collect() };
    let asked: Vec<_> = (0..CLIENTS)
        .map(|client| server.ask("ens", &[1, client as i64 + 1], &picture(client)).unwrap())
        .collect();
    // All are at the network: in its two instances, or waiting for them.
    let network = server.core.model("network", None).unwrap();
    while network.pending() + taken.load(Ordering::SeqCst) < CLIENTS - 2 * 7 {
        tokio::task::yield_now().await;
    }
    gate.open();
    for (client, answer) in asked.into_iter().enumerate() {
        let response = answer.only().await.unwrap();
        let (sum, size) = (picture(client).iter().sum::<i32>(), client as i32 + 1);
        assert_eq!(
            numbers(&response.outputs[0].data.to_host().unwrap()),
            [sum * 2, size, size],
            "client {client}"
        );
        assert_eq!(response.parameters.get("size"), Some(&ParameterValue::Int64(i64::from(size))));
    }
    let counters = |name| server.core.statistics(name, None).unwrap().remove(0).counters;
    let network = counters("network");
    assert_eq!(network.inference_count, CLIENTS as u64);
    assert!(network.execution_count <= CLIENTS as u64 / 4, "it was batched: {}", network.execution_count);
    assert_eq!(counters("ens").success.count, CLIENTS as u64);
}
