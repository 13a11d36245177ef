//! The results as JSON.

use hippocamp_client::Tensor;
use serde_json::{Map, Value, json};

use super::{QUANTILES, Report, micros};
use crate::plan::Load;
use crate::point::Point;
use crate::record::Latencies;
use crate::samples::is_stable;

pub(crate) fn render(report: &Report) -> String {
    let input = |tensor: &Tensor| json!({"name": tensor.name, "datatype": tensor.data_type.protocol_name(), "shape": tensor.shape});
    let document = json!({
        "model": report.model,
        "version": report.version,
        "batch": report.batch,
        "inputs": report.inputs().iter().map(input).collect::<Vec<_>>(),
        "results": report.points.iter().map(point).collect::<Vec<_>>(),
        "failures": report.failures,
    });
    format!("{document:#}\n")
}

pub(crate) fn point(point: &Point) -> Value {
    let record = &point.record;
    let (concurrency, rate, is_poisson) = match point.load {
        Load::Closed { concurrency } => (Some(concurrency), None, None),
        Load::Open { rate, is_poisson, .. } => (None, Some(number(rate)), Some(is_poisson)),
    };
    json!({
        "protocol": point.transport.name(),
        "address": point.transport.address().map(|address| address.to_string()),
        "concurrency": concurrency,
        "rate": rate,
        "is_poisson": is_poisson,
        "in_flight": point.load.workers(),
        "connections": point.connections,
        "threads": point.threads,
        "seconds": point.elapsed.as_secs_f64(),
        "requests": record.answered(),
        "responses": record.responses,
        "failed": point.record.failed(),
        "unanswered": point.record.unanswered,
        "not_sent": point.record.unsent,
        "errors": record.errors,
        "warm_up_requests": point.warm_up,
        "requests_per_s": point.rate(),
        "rates_of_windows": point.rates,
        "is_stable": is_stable(&point.rates),
        "latency_us": latencies(&record.latencies),
        "first_response_us": record.first.as_ref().map(latencies),
        "client_cpu_s_per_1000": point.cpu_per_1000(),
        "client_busy": point.busy(),
        "is_interrupted": point.is_interrupted,
        "gave_up": point.gave_up,
    })
}

/// A whole number as such.
fn number(rate: f64) -> Value {
    if rate.fract() == 0.0 { json!(rate as u64) } else { json!(rate) }
}

fn latencies(latencies: &Latencies) -> Value {
    let mut numbers = Map::new();
    numbers.insert("min".to_owned(), json!(micros(latencies.min() as f64)));
    numbers.insert("mean".to_owned(), json!(micros(latencies.mean())));
    for (quantile, name) in QUANTILES {
        numbers.insert(name.to_owned(), json!(micros(latencies.value_at_quantile(quantile) as f64)));
    }
    numbers.insert("max".to_owned(), json!(micros(latencies.max() as f64)));
    numbers.into()
}
