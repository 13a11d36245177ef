//! The YAML file with a model's settings, as an archive has it.

use granit_parser::{Event, Parser};

use crate::settings::{MODEL_KEYS, ModelSettings, Setting, is_nothing};

/// What is said of a text that is a list or one word.
const NO_MAPPING: &str = "what was expected to be a mapping of keys, as batchSize: 4, is none";

/// The most keys without effect that are told one by one: there may be as many as the text has lines.
const MOST_TOLD: usize = 20;

/// The most words of a list that are kept.
const LONGEST_LIST: usize = 1000;

/// Reads the settings, which stand at the top, and what is to be said of those that have no effect. The error says that the text is no
/// YAML, or which value is none for its key.
pub(crate) fn parse(text: &str) -> Result<(ModelSettings, Vec<String>), String> {
    let (mut settings, mut told) = (ModelSettings::default(), Vec::new());
    let (mut nesting, mut further) = (Vec::new(), 0_usize);
    let mut key: Option<String> = None;
    // What stands in the list that is the value of the key.
    let mut list: Option<Vec<String>> = None;
    for next in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, _) = next.map_err(|error| format!("what was expected to be YAML is none: {error}"))?;
        let ended = match event {
            Event::DocumentEnd => break,
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let is_list = matches!(event, Event::SequenceStart(..));
                if nesting.is_empty() && is_list {
                    return Err(NO_MAPPING.to_owned());
                }
                list = (is_list && nesting.len() == 1).then(Vec::new);
                nesting.push(is_list);
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                nesting.pop();
                list.take_if(|_| nesting.len() == 1).map_or(Setting::Nested, Setting::List)
            }
            Event::Scalar(text, ..) if nesting.is_empty() && !is_nothing(&text) => {
                return Err(NO_MAPPING.to_owned());
            }
            Event::Scalar(text, ..) => Setting::Scalar(text.into_owned()),
            Event::Alias(..) => Setting::Nested,
            _ => continue,
        };
        match (nesting.len(), ended, &mut list) {
            (2, Setting::Scalar(text), Some(list)) if list.len() < LONGEST_LIST => list.push(text),
            (1, ended, _) => match (key.take(), ended) {
                (None, Setting::Scalar(text)) => key = Some(text),
                (None, _) => key = Some(String::new()),
                (Some(key), _) if told.len() == MOST_TOLD && !MODEL_KEYS.honoured.contains(&&*key) => {
                    further += 1;
                }
                // The same key may stand there again and again.
                (Some(key), value) => match settings.set(&key, &value)? {
                    Some(_) if told.len() == MOST_TOLD => further += 1,
                    said => told.extend(said),
                },
            },
            // A list of lists is none of words, and one that is too long names no devices.
            (2, _, list) => *list = None,
            _ => {}
        }
    }
    if further > 0 {
        told.push(format!("{further} further keys have no effect or say what is usual"));
    }
    Ok((settings, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_keys_of_the_front_end() {
        let text = "# a model\nminWorkers: 2\nbatchSize: 8  # rows\nmaxBatchDelay: '50'\nhandler:\n  batchSize: 3\n? [a]\n: b\nx: [batchSize, 9]\n";
        let expected = ModelSettings {
            batch_size: Some(8),
            max_batch_delay: Some(50),
            min_workers: Some(2),
            ..ModelSettings::default()
        };
        let (settings, told) = parse(text).unwrap();
        assert_eq!(settings, expected);
        let names: Vec<&str> = told.iter().map(|text| text.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["'handler'", "''", "'x'"], "{told:?}");
        let text = "\u{feff}\"minWorkers\" : 2\r\ndeviceType: \"cpu\"\r\ndeviceIds: [0, 3]\r\njobQueueSize: 9\nclientTimeoutInMills: 7\n";
        let expected = ModelSettings {
            min_workers: Some(2),
            on_cpu: Some(true),
            device_ids: vec![0, 3],
            job_queue_size: Some(9),
            client_timeout: Some(7),
            ..ModelSettings::default()
        };
        assert_eq!(parse(text), Ok((expected, Vec::new())));
        let gpus = "deviceIds:\n- 0\n- 1\n";
        assert_eq!(parse(gpus).unwrap().0.device_ids, [0, 1]);
        for text in
            ["batchSize:", "batchSize: ~", "minWorkers: null # later", "deviceIds: []", "jobQueueSize: 0", ""]
        {
            assert_eq!(parse(text), Ok((ModelSettings::default(), Vec::new())), "{text}");
        }
    }

    #[test]
    fn settings_without_effect_are_told() {
        let text = "responseTimeout: 5\nstartupTimeout: 120\nparallelType: pp\ntorchrun:\n  nproc-per-node: 2\nbatch_size: 4\nhandler:\n  profile: true\n";
        let (_, told) = parse(text).unwrap();
        let expected = [
            "'responseTimeout' has no effect: no execution is ended",
            "'parallelType' has no effect: each instance",
            "'torchrun' has no effect: each instance",
            "'batch_size' has no effect: was 'batchSize' meant?",
            "'handler' has no effect: it is no setting of TorchServe's own",
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn many_keys_are_counted() {
        let text = "a:\n".repeat(1 << 16) + "batchSize: 3\n";
        let (settings, told) = parse(&text).unwrap();
        assert_eq!((settings.batch_size, told.len()), (Some(3), MOST_TOLD + 1));
        let expected = format!("{} further keys have no effect or say what is usual", (1 << 16) - MOST_TOLD);
        assert_eq!(told.last(), Some(&expected));
        let (_, told) = parse(&"deviceType: neuron\n".repeat(1 << 10)).unwrap();
        assert_eq!(told.len(), MOST_TOLD + 1);
        let expected = format!("{} further keys", (1 << 10) - MOST_TOLD);
        assert!(
            told[MOST_TOLD].starts_with(&expected),
            "one of a name that means something is told no more often: {told:?}"
        );
    }

    #[test]
    fn says_which_value_is_none() {
        for (text, expected) in [
            ("batchSize: -4", "batchSize was expected to be a number from 1 to 2147483647, got '-4'"),
            ("batchSize: 0", "got '0'"),
            ("batchSize: many", "got 'many'"),
            ("batchSize: [1, 2]", "got '{}'"),
            ("maxWorkers: -1", "maxWorkers was expected to be a number from 0 to 1024, got '-1'"),
            (
                "maxBatchDelay: 1.5",
                "maxBatchDelay was expected to be a number from 0 to 2147483647, got '1.5'",
            ),
            (
                "minWorkers: 2\nminWorkers: -1",
                "minWorkers was expected to be a number from 0 to 1024, got '-1'",
            ),
            ("minWorkers: 1025", "got '1025'"),
            ("deviceIds: 0", "a list of numbers of GPUs, as [0, 1], each once"),
            (
                &format!("deviceIds: [{}]", "0,".repeat(2000)),
                "a list of numbers of GPUs, as [0, 1], each once",
            ),
            ("deviceIds: [[0]]", "a list of numbers of GPUs, as [0, 1], each once"),
            ("- batchSize", "a mapping of keys, as batchSize: 4, is none"),
            ("batchSize", "a mapping of keys, as batchSize: 4, is none"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.ends_with(expected), "{text}: {fault}");
        }
        for text in ["minWorkers: [", "a: b: c", "{batchSize: 2"] {
            let fault = parse(text).unwrap_err();
            assert!(fault.starts_with("what was expected to be YAML is none: "), "{text}: {fault}");
        }
    }
}
