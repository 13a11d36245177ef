//! The settings that are tried, and how they are written into a config.

use std::fmt;

use hippocamp_client::{Failure, Result};
use hippocamp_model_config::{Edit, ModelConfig, edited as edited_text, written_values};
use hippocamp_proto::inference::model_config::SchedulingChoice;

use super::TuneArgs;
use super::args::Setting;

const THREADS: &str = "intra_op_thread_count";
const DELAY: &str = "max_queue_delay_microseconds";

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

impl Settings {
    /// How much these settings are: of two that are as good, the ones that are less are written.
    pub(crate) fn size(&self) -> impl Ord {
        let delay = self.delay_us.unwrap_or(0);
        let changes = [self.instances.is_some(), self.threads.is_some(), self.max_batch.is_some(), delay > 0];
        (changes.iter().filter(|is_changed| **is_changed).count(), delay, self.instances, self.max_batch)
    }

    /// The same with one thing less, of what may be there for nothing: a delay, or a number of threads.
    pub(crate) fn less(&self) -> Vec<Settings> {
        let mut less = Vec::new();
        if self.delay_us.is_some_and(|delay| delay > 0) {
            less.push(Settings { delay_us: Some(0), ..*self });
        }
        if self.threads.is_some() {
            less.push(Settings { threads: None, ..*self });
        }
        less
    }
}

/// The values that are tried of each setting; empty for what is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    /// Instances, each with the threads that go with them.
    pub(crate) instances: Vec<(u32, Option<u32>)>,
    pub(crate) max_batch: Vec<u32>,
    pub(crate) delay_us: Vec<u32>,
    /// Whether requests are joined to batches as the config is.
    pub(crate) joins: bool,
}

impl Space {
    /// Whether nothing can be tried.
    pub(crate) fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.max_batch.is_empty() && self.delay_us.is_empty()
    }

    /// What can be tried of a model whose config is written like this, and completed like that.
    pub(crate) fn of(written: &ModelConfig, config: &ModelConfig, args: &TuneArgs, cores: u32) -> Space {
        let joins = matches!(config.scheduling_choice, Some(SchedulingChoice::DynamicBatching(_)));
        let mut space = Space { joins, ..Space::default() };
        // Groups on chosen devices are somebody's plan. A completed config names devices of its own accord.
        let is_plain = written.instance_group.iter().all(|group| group.gpus.is_empty())
            && written.instance_group.len() < 2;
        if is_plain {
            // With parameters of its own, adding one would replace the others.
            let has_threads = args.tries(Setting::Threads)
                && config.backend == "onnxruntime"
                && config.parameters.is_empty();
            let counts = if args.tries(Setting::Instances) {
                doubled(args.max_instances.unwrap_or(cores))
            } else {
                config.instance_group.iter().filter_map(|group| u32::try_from(group.count).ok()).collect()
            };
            // The number of a config is tried with other threads only.
            let counts = if args.tries(Setting::Instances) || has_threads { counts } else { Vec::new() };
            for count in counts {
                space.instances.push((count, None));
                if has_threads {
                    let fair = (cores / count).max(1);
                    space.instances.push((count, Some(1)));
                    space.instances.extend((fair > 1).then_some((count, Some(fair))));
                }
            }
        }
        if config.max_batch_size > 0 {
            if args.tries(Setting::Batch) {
                // What clients may send in one request does not get less.
                let least = u32::try_from(config.max_batch_size).unwrap_or(1);
                space.max_batch = doubled(args.max_batch);
                space.max_batch.retain(|size| *size > least);
                if !space.max_batch.is_empty() {
                    space.max_batch.insert(0, least);
                }
            }
            if args.tries(Setting::Delay) {
                space.delay_us = vec![0, 200, 1000, 5000];
            }
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

/// The text of a config with these settings. All else in it stays, what else is in their blocks as well.
pub(crate) fn edited(text: &str, settings: &Settings) -> Result<String> {
    let mut edits = Vec::new();
    let mut set = |path: &str, value: String| edits.push(Edit::Set { path: path.to_owned(), value });
    if let Some(count) = settings.instances {
        if has_fields(text, "instance_group[0]") {
            set("instance_group[0].count", count.to_string());
        } else {
            set("instance_group", format!("[ {{ count: {count} }} ]"));
        }
    }
    if let Some(threads) = settings.threads {
        set("parameters", format!("{{ key: \"{THREADS}\" value: {{ string_value: \"{threads}\" }} }}"));
    }
    if let Some(max_batch) = settings.max_batch {
        set("max_batch_size", max_batch.to_string());
    }
    if let Some(delay) = settings.delay_us {
        let field = format!("dynamic_batching.{DELAY}");
        let is_written = !written_values(text, &field).is_empty();
        match (has_fields(text, "dynamic_batching"), delay) {
            // It is the default.
            (true, 0) if !is_written => {}
            (true, delay) => set(&field, delay.to_string()),
            (false, 0) => set("dynamic_batching", "{ }".to_owned()),
            (false, delay) => set("dynamic_batching", format!("{{ {DELAY}: {delay} }}")),
        }
    }
    edited_text(text, &edits)
        .ok_or_else(|| Failure::new(format!("the config has no place for the settings {settings}")))
}

/// Whether a message of the config is there and says something.
fn has_fields(text: &str, path: &str) -> bool {
    // A field that is added to an empty message has no place.
    let probe = Edit::Set { path: format!("{path}.hippocamp"), value: "0".to_owned() };
    edited_text(text, &[probe]).is_some()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use hippocamp_model_config::parse;

    use super::*;

    fn space(config: &str, more: &[&str]) -> Space {
        let config = parse(config, "config.pbtxt").unwrap().config;
        let args = ["tune", "m", "--model-repository", "r"].iter().chain(more);
        Space::of(&config, &config, &TuneArgs::parse_from(args), 4)
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
        assert_eq!((got.max_batch, got.delay_us.len()), (vec![4, 6], 4));
        let got = space("backend: \"vision\"", &["--max-instances", "3"]);
        assert_eq!(got.instances, [(1, None), (2, None), (3, None)]);
        assert!(got.max_batch.is_empty());
        let got = space(
            "backend: \"onnxruntime\" max_batch_size: 4",
            &["--only", "instances,batch", "--max-batch", "2"],
        );
        assert_eq!((got.instances.len(), got.max_batch, got.delay_us.len()), (3, vec![], 0));
        let got = space("backend: \"identity\" max_batch_size: 3", &["--max-batch", "16"]);
        assert_eq!(got.max_batch, [3, 4, 8, 16]);
        let got = space("backend: \"onnxruntime\" instance_group { count: 2 }", &["--only", "threads"]);
        assert_eq!(got.instances, [(2, None), (2, Some(1)), (2, Some(2))]);
        assert!(space("instance_group [ { count: 1 }, { count: 2 } ]", &[]).is_empty());
        assert!(space("max_batch_size: 2 dynamic_batching { }", &[]).joins && !got.joins);
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

    #[test]
    fn what_else_is_in_a_block_stays() {
        let text = "instance_group {\n  name: \"mine\"\n  kind: KIND_CPU  # not the GPU\n  host_policy: \"x\"\n}\n\
                    dynamic_batching {\n  max_queue_delay_microseconds: 100\n  default_queue_policy { max_queue_size: 4 }\n}\n";
        let with = |settings: Settings| edited(text, &settings).unwrap();
        let instances = with(Settings { instances: Some(3), ..Settings::default() });
        assert_eq!(instances, text.replace("  host_policy: \"x\"\n", "  host_policy: \"x\"\n  count: 3\n"));
        let delayed = with(Settings { delay_us: Some(5000), ..Settings::default() });
        assert_eq!(delayed, text.replace("100", "5000"));
        assert_eq!(with(Settings { delay_us: Some(0), ..Settings::default() }), text.replace("100", "0"));
        // A block without the field gets it, and none for the default.
        let text = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 9 timeout_action: REJECT } }\n";
        let with = |delay| edited(text, &Settings { delay_us: Some(delay), ..Settings::default() }).unwrap();
        assert_eq!(with(0), text);
        assert_eq!(with(200), text.replace(" } }", " } max_queue_delay_microseconds: 200 }"));
    }

    #[test]
    fn blocks_that_are_not_there_or_empty_are_written() {
        let settings = Settings { instances: Some(2), delay_us: Some(200), ..Settings::default() };
        for text in
            ["name: \"m\"\n", "name: \"m\"\ndynamic_batching { }\n", "name: \"m\"\ninstance_group [ { } ]\n"]
        {
            let config = parse(&edited(text, &settings).unwrap(), "config.pbtxt").unwrap().config;
            assert_eq!(
                config.instance_group.iter().map(|group| group.count).collect::<Vec<_>>(),
                [2],
                "{text}"
            );
            let space = Settings { delay_us: Some(0), ..Settings::default() };
            assert!(edited(text, &space).unwrap().contains("dynamic_batching"), "{text}");
        }
    }
}
