//! The settings that are tried, and how they are written into a config.

use std::fmt;

use hippocamp_client::{Failure, Result};
use hippocamp_model_config::{Edit, ModelConfig, edited as edited_text, sequence_batching, written_values};

use super::TuneArgs;

const THREADS: &str = "intra_op_thread_count";

/// Settings of a model; `None` is as its config has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The number of instances.
    pub(crate) instances: Option<u32>,
    /// The threads within an execution of ONNX Runtime.
    pub(crate) threads: Option<u32>,
    pub(crate) max_batch: Option<u32>,
    /// How long a batch waits for company, in microseconds.
    pub(crate) delay_us: Option<u32>,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut add = |name: &str, value: Option<u32>, unit: &str| {
            parts.extend(value.map(|value| format!("{name} {value}{unit}")));
        };
        add("instances", self.instances, "");
        add("threads", self.threads, "");
        add("batch", self.max_batch, "");
        add("delay", self.delay_us, " us");
        if parts.is_empty() { f.write_str("as it is") } else { f.write_str(&parts.join(", ")) }
    }
}

/// The values that are tried of each setting; empty for what is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    /// Instances, each with the threads that go with them.
    pub(crate) instances: Vec<(u32, Option<u32>)>,
    pub(crate) max_batch: Vec<u32>,
    pub(crate) delay_us: Vec<u32>,
}

impl Space {
    /// What can be tried of a model with this completed config.
    pub(crate) fn of(config: &ModelConfig, args: &TuneArgs, cores: u32) -> Space {
        let mut space = Space::default();
        // Sequences are tied to instances and their batches, and their load is another one.
        if sequence_batching(config).is_some() {
            return space;
        }
        // Groups on chosen devices are somebody's plan.
        let is_plain = config.instance_group.iter().all(|group| group.gpus.is_empty())
            && config.instance_group.len() < 2;
        if is_plain {
            let most = args.max_instances.unwrap_or(cores);
            // With parameters of its own, adding one would replace the others.
            let has_threads = config.backend == "onnxruntime" && config.parameters.is_empty();
            for count in doubled(most) {
                space.instances.push((count, None));
                if has_threads {
                    let fair = (cores / count).max(1);
                    space.instances.push((count, Some(1)));
                    space.instances.extend((fair > 1).then_some((count, Some(fair))));
                }
            }
        }
        if config.max_batch_size > 0 {
            space.max_batch = doubled(args.max_batch);
            space.delay_us = vec![0, 200, 1000, 5000];
        }
        space
    }
}

/// 1, 2, 4 and so on up to `most`, which is the last.
fn doubled(most: u32) -> Vec<u32> {
    let mut values: Vec<u32> = std::iter::successors(Some(1u32), |value| value.checked_mul(2))
        .take_while(|value| *value < most)
        .collect();
    values.push(most.max(1));
    values
}

/// The text of a config with these settings.
pub(crate) fn edited(text: &str, settings: &Settings) -> Result<String> {
    let mut edits = Vec::new();
    let mut set = |path: &str, value: String| edits.push(Edit::Set { path: path.to_owned(), value });
    if let Some(count) = settings.instances {
        // Another kind than the usual one stays.
        let kind = written_values(text, "instance_group[0].kind").pop();
        let kind = kind.map_or(String::new(), |kind| format!(" kind: {kind}"));
        set("instance_group", format!("[ {{ count: {count}{kind} }} ]"));
    }
    if let Some(threads) = settings.threads {
        set("parameters", format!("{{ key: \"{THREADS}\" value: {{ string_value: \"{threads}\" }} }}"));
    }
    if let Some(max_batch) = settings.max_batch {
        set("max_batch_size", max_batch.to_string());
    }
    if let Some(delay) = settings.delay_us {
        let delay =
            if delay == 0 { String::new() } else { format!("max_queue_delay_microseconds: {delay} ") };
        set("dynamic_batching", format!("{{ {delay}}}"));
    }
    edited_text(text, &edits)
        .ok_or_else(|| Failure::new(format!("the config has no place for the settings {settings}")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use hippocamp_model_config::parse;

    use super::*;

    fn space(config: &str, more: &[&str]) -> Space {
        let config = parse(config, "config.pbtxt").unwrap().config;
        let args = ["tune", "m", "--model-repository", "r"].iter().chain(more);
        Space::of(&config, &TuneArgs::parse_from(args), 4)
    }

    #[test]
    fn what_is_tried_follows_from_the_config() {
        let got = space("backend: \"onnxruntime\" max_batch_size: 4", &["--max-batch", "6"]);
        assert_eq!(
            got.instances,
            [
                (1, None),
                (1, Some(1)),
                (1, Some(4)),
                (2, None),
                (2, Some(1)),
                (2, Some(2)),
                (4, None),
                (4, Some(1))
            ]
        );
        assert_eq!((got.max_batch, got.delay_us.len()), (vec![1, 2, 4, 6], 4));
        let got = space("backend: \"vision\"", &["--max-instances", "3"]);
        assert_eq!(got.instances, [(1, None), (2, None), (3, None)]);
        assert!(got.max_batch.is_empty());
        assert_eq!(space("sequence_batching { } max_batch_size: 2", &[]), Space::default());
        assert!(space("instance_group { count: 1 gpus: 1 }", &[]).instances.is_empty());
    }

    #[test]
    fn settings_are_edits_that_leave_the_rest() {
        let text = "name: \"m\"  # mine\nmax_batch_size: 8\ninstance_group [ { count: 1 kind: KIND_CPU } ]\n";
        let settings =
            Settings { instances: Some(2), threads: Some(1), max_batch: Some(16), delay_us: Some(200) };
        assert_eq!(
            edited(text, &settings).unwrap(),
            "name: \"m\"  # mine\nmax_batch_size: 16\ninstance_group [ { count: 2 kind: KIND_CPU } ]\nparameters: { key: \
             \"intra_op_thread_count\" value: { string_value: \"1\" } }\ndynamic_batching: { max_queue_delay_microseconds: 200 }\n"
        );
        assert_eq!(edited(text, &Settings::default()).unwrap(), text);
        assert_eq!(settings.to_string(), "instances 2, threads 1, batch 16, delay 200 us");
        assert_eq!(Settings::default().to_string(), "as it is");
    }
}
