//! The settings of a model in its archive's YAML file.

use granit_parser::{Event, Parser};

/// What a model asks of its server. `None` for what it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelSettings {
    pub(crate) batch_size: Option<u32>,
    /// In milliseconds.
    pub(crate) max_batch_delay: Option<u32>,
    pub(crate) min_workers: Option<u32>,
    /// Whether it is to be executed by the CPU; otherwise where the backend has its instances by default.
    pub(crate) on_cpu: bool,
}

/// The most instances that an archive or a registration may ask for.
pub const MAX_WORKERS: u32 = 1024;

/// The largest batch, and the longest delay in milliseconds, that can be said.
const MAX: u32 = i32::MAX as u32;

impl ModelSettings {
    /// Reads the front end's keys, which stand at the top; the keys of handlers are nested or have other names, and are not looked at.
    /// The error says that the text is no YAML, or which value is none for its key.
    pub(crate) fn parse(text: &str) -> Result<ModelSettings, String> {
        let mut settings = ModelSettings::default();
        let (mut depth, mut key) = (0, None);
        for next in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
            let (event, _) =
                next.map_err(|error| format!("what was expected to be YAML is none: {error}"))?;
            let scalar = match event {
                Event::DocumentEnd => break,
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    if depth == 0 && matches!(event, Event::SequenceStart(..)) {
                        return Err(NO_MAPPING.to_owned());
                    }
                    depth += 1;
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    depth -= 1;
                    None
                }
                Event::Scalar(text, ..) if depth == 0 && !is_nothing(&text) => {
                    return Err(NO_MAPPING.to_owned());
                }
                Event::Scalar(text, ..) => Some(text),
                Event::Alias(..) => None,
                _ => continue,
            };
            if depth != 1 {
                continue;
            }
            // What has ended is a key or the value of one.
            match (key.take(), scalar) {
                (None, scalar) => key = Some(scalar.unwrap_or_default()),
                (Some(key), Some(value)) => settings.set(&key, &value)?,
                (Some(_), None) => {}
            }
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let within = |least, most| number(key, value, least, most);
        match key {
            "batchSize" => self.batch_size = within(1, MAX)?,
            "maxBatchDelay" => self.max_batch_delay = within(0, MAX)?,
            "minWorkers" => self.min_workers = within(0, MAX_WORKERS)?,
            "deviceType" => self.on_cpu = value.eq_ignore_ascii_case("cpu"),
            _ => {}
        }
        Ok(())
    }
}

/// What is said of a text that is a list or one word.
const NO_MAPPING: &str = "what was expected to be a mapping of keys, as batchSize: 4, is none";

fn is_nothing(value: &str) -> bool {
    matches!(value, "" | "~" | "null")
}

/// The number that stands behind a key; `None` where nothing does.
fn number(key: &str, value: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
    if is_nothing(value) {
        return Ok(None);
    }
    let found = value.parse().ok().filter(|number| (least..=most).contains(number));
    found.map(Some).ok_or_else(|| {
        let value = &value[..value.floor_char_boundary(80)];
        format!("{key} was expected to be a number from {least} to {most}, got '{}'", value.escape_debug())
    })
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
            on_cpu: false,
        };
        assert_eq!(ModelSettings::parse(text).unwrap(), expected);
        let text = "\u{feff}\"minWorkers\" : 2\r\ndeviceType: \"cpu\"\r\ndeviceIds: [0]\r\n";
        let expected = ModelSettings { min_workers: Some(2), on_cpu: true, ..ModelSettings::default() };
        assert_eq!(ModelSettings::parse(text).unwrap(), expected);
        for text in
            ["deviceType: gpu", "batchSize:", "batchSize: ~", "minWorkers: null # later", "maxWorkers: -1"]
        {
            assert_eq!(ModelSettings::parse(text), Ok(ModelSettings::default()), "{text}");
        }
    }

    #[test]
    fn says_which_value_is_none() {
        for (text, expected) in [
            ("batchSize: -4", "batchSize was expected to be a number from 1 to 2147483647, got '-4'"),
            ("batchSize: 0", "got '0'"),
            ("batchSize: many", "got 'many'"),
            (
                "maxBatchDelay: 1.5",
                "maxBatchDelay was expected to be a number from 0 to 2147483647, got '1.5'",
            ),
            (
                "minWorkers: 2\nminWorkers: -1",
                "minWorkers was expected to be a number from 0 to 1024, got '-1'",
            ),
            ("minWorkers: 1025", "got '1025'"),
            ("- batchSize", "a mapping of keys, as batchSize: 4, is none"),
            ("batchSize", "a mapping of keys, as batchSize: 4, is none"),
        ] {
            let fault = ModelSettings::parse(text).unwrap_err();
            assert!(fault.ends_with(expected), "{text}: {fault}");
        }
        for text in ["minWorkers: [", "a: b: c", "{batchSize: 2"] {
            let fault = ModelSettings::parse(text).unwrap_err();
            assert!(fault.starts_with("what was expected to be YAML is none: "), "{text}: {fault}");
        }
    }
}
