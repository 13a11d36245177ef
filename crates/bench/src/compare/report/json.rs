//! A comparison as JSON.

use hippocamp_client::{Tensor, TensorInfo};
use serde_json::{Value, json};

use super::Comparison;
use crate::compare::difference::Largest;
use crate::compare::{Level, Output};
use crate::report::json::point;

pub(super) fn render(comparison: &Comparison) -> String {
    let side = |which: usize| json!({"model": comparison.names[which], "address": comparison.places[which]});
    let names = |(a, b): &(TensorInfo, TensorInfo)| json!({"a": a.name, "b": b.name});
    let matched = |by_position: bool| if by_position { "position" } else { "name" };
    let sent = |tensor: &Tensor| json!({"name": tensor.name, "datatype": tensor.data_type.protocol_name(), "shape": tensor.shape});
    let tolerance = comparison
        .tolerance
        .map(|tolerance| json!({"absolute": tolerance.absolute, "relative": tolerance.relative}));
    let document = json!({
        "a": side(0),
        "b": side(1),
        "batch": comparison.batch,
        "inputs": comparison.inputs_sent.iter().map(sent).collect::<Vec<_>>(),
        "matched_inputs": comparison.inputs.iter().map(names).collect::<Vec<_>>(),
        "inputs_matched_by": matched(comparison.inputs_by_position),
        "outputs_matched_by": matched(comparison.outputs_by_position),
        "only_in_a": comparison.only[0],
        "only_in_b": comparison.only[1],
        "samples": comparison.samples,
        "tolerance": tolerance,
        "is_within_tolerance": comparison.is_within_tolerance(),
        "outputs": comparison.outputs.iter().map(output).collect::<Vec<_>>(),
        "results": comparison.levels.iter().map(level).collect::<Vec<_>>(),
        "failures": comparison.failures,
    });
    format!("{document:#}\n")
}

fn output(output: &Output) -> Value {
    let found = &output.differences;
    json!({
        "a": output.a.name,
        "b": output.b.name,
        "datatype": output.a.data_type.protocol_name(),
        "elements": found.elements,
        "different": found.different,
        "above_tolerance": found.above,
        "max_absolute": found.absolute.as_ref().map(largest),
        "max_relative": found.relative.as_ref().map(largest),
        "first_text": found.first_text.as_ref().map(|(sample, index)| json!({"sample": sample, "index": index})),
        "form": found.form.as_ref().map(|(sample, a, b)| json!({"sample": sample, "a": a, "b": b})),
    })
}

fn largest(largest: &Largest) -> Value {
    json!({
        "difference": number(largest.difference),
        "sample": largest.sample,
        "index": largest.index,
        "a": number(largest.a),
        "b": number(largest.b),
    })
}

/// JSON has no infinity, and nothing for what is no number: these are texts.
fn number(number: f64) -> Value {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}

fn level(level: &Level) -> Value {
    let round = |(a, b): &(f64, f64)| json!({"a_requests_per_s": a, "b_requests_per_s": b});
    json!({
        "a": point(&level.a),
        "b": point(&level.b),
        "b_to_a": level.speedup().map(|(median, least, most)| json!({"median": median, "min": least, "max": most})),
        "rounds": level.rounds.iter().map(round).collect::<Vec<_>>(),
    })
}
