//! Tests of `sequence` and `dyna_sequence`.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Batch, Event, ModelInstance};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::Shape;

use kit::{Loaded, input, load, numbers};

fn config(backend: &str, dims: &str, controls: &str) -> String {
    format!(
        r#"name: "m" backend: "{backend}" max_batch_size: 4
           input {{ name: "INPUT" data_type: TYPE_INT32 dims: {dims} }}
           output {{ name: "OUTPUT" data_type: TYPE_INT32 dims: {dims} }}
           sequence_batching {{ {controls} }}"#
    )
}

const START: &str =
    r#"control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }"#;
const READY: &str =
    r#"control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }"#;
const END: &str = r#"control_input { name: "END" control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }"#;

fn corrid(data_type: &str) -> String {
    format!(
        r#"control_input {{ name: "CORRID" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: {data_type} }} }}"#
    )
}

/// INPUT and the controls of one row, as the batcher sends them.
type Row<'a> = (&'a [i32], &'a [Bytes]);

/// Executes a batch; returns the OUTPUT of each row, or the error. Empty for a row without OUTPUT.
fn execute(loaded: &Loaded, instance: &mut dyn ModelInstance, rows: &[Row<'_>]) -> Vec<String> {
    let statistics: Arc<ModelStatistics> = Arc::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for (elements, controls) in rows {
        let data: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
        let mut inputs = vec![input(&[1, elements.len() as i64], data.into())];
        inputs.extend(controls.iter().map(|control| input(&[1, 1], control.clone())));
        let (request, receiver) = loaded.request(inputs, &statistics);
        batch.push(request);
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let show = |mut receiver: hippocamp_backend::ResponseReceiver| {
        let response = match runtime.block_on(receiver.next()) {
            Some(Event::Response { response, .. }) => response,
            Some(Event::Failed(error)) => return error.message().to_owned(),
            event => panic!("{event:?}"),
        };
        let Some(output) = response.outputs.first() else { return String::new() };
        let data = output.data.to_host().unwrap();
        let (elements, _) = data.as_chunks::<4>();
        assert_eq!(output.shape, Shape::from([1, elements.len() as i64]));
        let elements: Vec<_> = elements.iter().map(|e| i32::from_le_bytes(*e).to_string()).collect();
        elements.join(" ")
    };
    receivers.into_iter().map(show).collect()
}

fn flag(set: bool) -> Bytes {
    numbers([i32::from(set)])
}

fn float(set: bool) -> Bytes {
    Bytes::copy_from_slice(&f32::from(u8::from(set)).to_le_bytes())
}

#[test]
fn each_row_has_a_sum_which_only_a_ready_request_changes() {
    let loaded = load(&config("sequence", "-1", &format!("direct {{ }} {START} {READY}"))).unwrap();
    let mut instance = loaded.instance();
    let (starts, goes_on) = ([flag(true), float(true)], [flag(false), float(true)]);
    let not_ready = [flag(false), float(false)];
    let mut run = |rows: &[Row<'_>]| execute(&loaded, &mut *instance, rows);
    assert_eq!(run(&[(&[1], &starts), (&[10, 20], &starts)]), ["1", "30 30"]);
    assert_eq!(run(&[(&[9], &not_ready), (&[5], &goes_on)]), ["", "35"]);
    assert_eq!(run(&[(&[2], &goes_on), (&[i32::MAX], &goes_on)]), ["3", "-2147483614"]);
    assert_eq!(run(&[(&[7], &starts)]), ["7"]);
}

#[test]
fn each_id_has_a_sum_and_its_end_adds_the_id() {
    for (data_type, id) in [
        ("TYPE_UINT64", (|id: u8| Bytes::from(vec![id, 0, 0, 0, 0, 0, 0, 0])) as fn(u8) -> Bytes),
        ("TYPE_INT32", |id| Bytes::from(vec![id, 0, 0, 0])),
        ("TYPE_STRING", |id| Bytes::from(vec![1, 0, 0, 0, b'0' + id])),
    ] {
        let controls = format!("oldest {{ max_candidate_sequences: 4 }} {START} {END} {}", corrid(data_type));
        let loaded = load(&config("dyna_sequence", "1", &controls)).unwrap();
        let mut instance = loaded.instance();
        let row = |start, end: bool, n| [flag(start), Bytes::from(vec![u8::from(end)]), id(n)];
        let mut run = |rows: &[Row<'_>]| execute(&loaded, &mut *instance, rows);
        assert_eq!(run(&[(&[1], &row(true, false, 5)), (&[2], &row(true, false, 6))]), ["1", "2"]);
        assert_eq!(run(&[(&[10], &row(false, false, 6)), (&[20], &row(false, true, 5))]), ["12", "26"]);
        assert_eq!(run(&[(&[3], &row(false, false, 5))]), ["3"], "nothing is left of it");
    }
}

#[test]
fn a_text_that_is_no_number_is_refused() {
    let controls = format!("oldest {{ max_candidate_sequences: 4 }} {START} {}", corrid("TYPE_STRING"));
    let loaded = load(&config("dyna_sequence", "1", &controls)).unwrap();
    let row = [flag(true), Bytes::from_static(b"\x01\0\0\0x")];
    let answers = execute(&loaded, &mut *loaded.instance(), &[(&[1], &row)]);
    assert_eq!(answers, ["the correlation ID of the sequence was expected to be a number"]);
}

#[test]
fn configs_that_cannot_be_summed_up_are_refused() {
    let refused = |text: &str| load(text).err().expect("an error").message().to_owned();
    let good = config("sequence", "1", &format!("{START} {READY}"));
    assert!(load(&good).is_ok());
    assert!(refused(&config("sequence", "1", START)).contains("CONTROL_SEQUENCE_READY"));
    assert!(refused(&config("dyna_sequence", "1", START)).contains("CONTROL_SEQUENCE_CORRID"));
    assert!(refused(&good.replace("\"INPUT\"", "\"IN\"")).contains("named 'INPUT'"));
    assert!(refused(&good.replace("\"OUTPUT\"", "\"OUT\"")).contains("named 'OUTPUT'"));
    assert!(refused(&good.replace("TYPE_INT32", "TYPE_INT64")).contains("TYPE_INT32"));
    assert!(refused(&config("sequence", "[ 1, 1 ]", &format!("{START} {READY}"))).contains("vector shape"));
    let stateless = good.split("sequence_batching").next().unwrap();
    assert!(refused(stateless).contains("must use the sequence batcher"));
}
