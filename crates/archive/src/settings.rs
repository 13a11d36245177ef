//! The settings of a model in its archive's YAML file.

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

impl ModelSettings {
    /// Reads the lines `key: number` that stand at the beginning of a line, as the front end's keys do. The keys of handlers
    /// are nested or have other names, and are not looked at.
    pub(crate) fn parse(text: &str) -> ModelSettings {
        let mut settings = ModelSettings::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let quotes = ['"', '\''];
            let value = value.split('#').next().unwrap_or_default().trim().trim_matches(quotes);
            let number = value.parse::<u32>().ok();
            match key.trim_end().trim_matches(quotes) {
                "batchSize" => settings.batch_size = number,
                "maxBatchDelay" => settings.max_batch_delay = number,
                "minWorkers" => settings.min_workers = number,
                "deviceType" => settings.on_cpu = value.eq_ignore_ascii_case("cpu"),
                _ => {}
            }
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_keys_of_the_front_end() {
        let text = "# a model\nminWorkers: 2\nbatchSize: 8  # rows\nmaxBatchDelay: '50'\nhandler:\n  batchSize: 3\nx: [\n";
        let expected = ModelSettings {
            batch_size: Some(8),
            max_batch_delay: Some(50),
            min_workers: Some(2),
            on_cpu: false,
        };
        assert_eq!(ModelSettings::parse(text), expected);
        let text = "\u{feff}\"minWorkers\" : 2\r\ndeviceType: \"cpu\"\r\ndeviceIds: [0]\r\n";
        let expected = ModelSettings { min_workers: Some(2), on_cpu: true, ..ModelSettings::default() };
        assert_eq!(ModelSettings::parse(text), expected);
        assert!(!ModelSettings::parse("deviceType: gpu").on_cpu);
        assert_eq!(ModelSettings::parse("batchSize: many"), ModelSettings::default());
    }
}
