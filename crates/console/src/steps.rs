//! The steps of an ensemble, with the time that each has taken lately.

use std::collections::BTreeMap;

use hippocamp_access::Grant;
use hippocamp_core::LoadedModel;
use hippocamp_http_content::json::JsonWriter;
use hippocamp_model_config::ensemble_scheduling;

use crate::Console;

/// How many samples the times are of: the last minute.
const SAMPLES: usize = 20;

/// Writes the steps of an ensemble; nothing for another model.
pub(crate) fn write(writer: &mut JsonWriter, console: &Console, grant: &Grant, model: &LoadedModel) {
    let Some(steps) = ensemble_scheduling(&model.config) else { return };
    writer.name("steps");
    writer.open_array();
    for (index, step) in steps.step.iter().enumerate() {
        writer.open_object();
        writer.name("model");
        writer.string(step.model_name.as_bytes());
        maps(writer, "inputs", &step.input_map);
        maps(writer, "outputs", &step.output_map);
        // The tensors whose rows it runs for.
        writer.name("each");
        writer.open_array();
        let fan_out = model.interface.fan_outs.iter().find(|fan_out| fan_out.step == index);
        for tensor in fan_out.iter().flat_map(|fan_out| &fan_out.over) {
            writer.string(tensor.as_bytes());
        }
        writer.close_array();
        // The ensemble names its steps; what others ask of them is not everybody's.
        let is_seen = grant.covers(&step.model_name);
        let (requests, spent) = if is_seen { lately(console, &step.model_name) } else { (0, [0; 4]) };
        writer.name("requests");
        writer.integer(requests);
        writer.name("spent");
        writer.open_array();
        for us in spent {
            writer.integer(us);
        }
        writer.close_array();
        writer.close_object();
    }
    writer.close_array();
}

/// From the names of the step's model to those of the ensemble.
fn maps<'a>(writer: &mut JsonWriter, name: &str, map: impl IntoIterator<Item = (&'a String, &'a String)>) {
    writer.name(name);
    writer.open_object();
    for (own, here) in map.into_iter().collect::<BTreeMap<_, _>>() {
        writer.name(own);
        writer.string(here.as_bytes());
    }
    writer.close_object();
}

/// The requests of a model, whoever made them, and what they spent: of the last minute, or of all samples if it was idle.
fn lately(console: &Console, name: &str) -> (u64, [u64; 4]) {
    let history = console.history.lock();
    let sum = |samples: usize| {
        let models = history.since(0).rev().take(samples).filter_map(|sample| sample.model(name));
        models.fold((0, [0; 4]), |(requests, mut spent), model| {
            spent.iter_mut().zip(model.spent_us).for_each(|(sum, us)| *sum += us);
            (requests + u64::from(model.succeeded - model.cached.min(model.succeeded)), spent)
        })
    };
    let last = sum(SAMPLES);
    if last.0 > 0 { last } else { sum(usize::MAX) }
}
