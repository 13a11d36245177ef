//! The samples as the page draws them.

use hippocamp_access::Grant;
use hippocamp_http_content::json::JsonWriter;

use crate::Console;
use crate::history::{ModelSample, Sample};

/// The machine, and of each model that did something the numbers of its row.
pub(crate) fn of_all(console: &Console, grant: &Grant, since: u64) -> Vec<u8> {
    written(console, since, |writer, sample| {
        writer.name("busy");
        writer.double(rounded(sample.host.busy));
        writer.name("used");
        writer.integer(sample.host.memory_used);
        writer.name("resident");
        writer.integer(sample.host.resident);
        writer.name("gpus");
        writer.open_array();
        for gpu in &sample.gpus {
            writer.open_array();
            writer.integer(gpu.id);
            writer.double(rounded(gpu.busy));
            writer.integer(gpu.memory_used);
            writer.close_array();
        }
        writer.close_array();
        writer.name("models");
        writer.open_object();
        for model in sample.models.iter().filter(|model| grant.covers(&model.name)) {
            writer.name(&model.name);
            let failed = model.failed.iter().fold(0, |sum: u32, count| sum.saturating_add(*count));
            integers(writer, &[model.succeeded, failed, model.request[0], model.request[2], model.pending]);
        }
        writer.close_object();
    })
}

/// All of one model.
pub(crate) fn of_model(console: &Console, name: &str, since: u64) -> Vec<u8> {
    written(console, since, |writer, sample| {
        if let Some(model) = sample.model(name) {
            entry(writer, model);
        }
    })
}

fn written(console: &Console, since: u64, mut rest: impl FnMut(&mut JsonWriter, &Sample)) -> Vec<u8> {
    let history = console.history.lock();
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("next");
    writer.integer(history.next());
    writer.name("samples");
    writer.open_array();
    for sample in history.since(since) {
        writer.open_object();
        writer.name("t");
        writer.integer(sample.at_ms);
        writer.name("s");
        writer.double(rounded(sample.seconds));
        rest(&mut writer, sample);
        writer.close_object();
    }
    writer.close_array();
    writer.close_object();
    writer.into_bytes()
}

fn entry(writer: &mut JsonWriter, model: &ModelSample) {
    for (name, count) in [
        ("succeeded", model.succeeded),
        ("cached", model.cached),
        ("inferences", model.inferences),
        ("executions", model.executions),
        ("pending", model.pending),
    ] {
        writer.name(name);
        writer.integer(count);
    }
    for (name, values) in [
        ("failed", model.failed.as_slice()),
        ("request", &model.request),
        ("queue", &model.queue),
        ("compute", &model.compute),
    ] {
        writer.name(name);
        integers(writer, values);
    }
    writer.name("spent");
    integers(writer, &model.spent_us);
    writer.name("batches");
    writer.open_array();
    for (size, count) in &model.batches {
        integers(writer, &[*size, *count]);
    }
    writer.close_array();
}

fn integers<T: Copy + Into<u64>>(writer: &mut JsonWriter, values: &[T]) {
    writer.open_array();
    for value in values {
        writer.integer((*value).into());
    }
    writer.close_array();
}

fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}
