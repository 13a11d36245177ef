//! The settings of a model that TorchServe reads from the YAML file of its archive, and from `config.properties`.

use crate::keys::Keys;

/// What a model asks of its server. `None` for what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ModelSettings {
    /// The largest batch.
    pub batch_size: Option<u32>,
    /// How long a request waits for others of its batch, in milliseconds.
    pub max_batch_delay: Option<u32>,
    /// The number of instances.
    pub min_workers: Option<u32>,
    /// Whether it is to be executed by the CPU; otherwise it is where the backend has its instances by default.
    pub on_cpu: Option<bool>,
    /// The GPUs that it is executed by, where all of them are there. Empty for any.
    pub device_ids: Vec<i32>,
    /// How many requests may wait.
    pub job_queue_size: Option<u32>,
    /// How long a request may wait, in milliseconds.
    pub client_timeout: Option<u32>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A number, a truth or a text, as it is written.
    Scalar(String),
    /// A list of such.
    List(Vec<String>),
    /// What is nested deeper.
    Nested,
}

/// The most instances that an archive or a registration may ask for.
pub const MAX_WORKERS: u32 = 1024;

/// The largest number that can be said.
const MAX: u32 = i32::MAX as u32;

/// The most GPUs that can be named.
const MAX_DEVICES: usize = 64;

const PYTHON: &str = "it is about Python workers, and models are executed without any";
const ONE_DEVICE: &str =
    "each instance is executed by one GPU or by the CPU: no model is divided among several";
const SEQUENCES: &str =
    "sequences are batched by sequence_batching of a config.pbtxt among the archive's extra files";

/// The settings of a model that the front end of TorchServe 0.12 reads.
pub const MODEL_KEYS: Keys = Keys {
    honoured: &[
        "minWorkers",
        "batchSize",
        "maxBatchDelay",
        "deviceType",
        "deviceIds",
        "jobQueueSize",
        "clientTimeoutInMills",
        // There as here it is minWorkers that counts.
        "maxWorkers",
    ],
    without_effect: &[
        ("asyncCommunication", &["false"], PYTHON),
        (
            "continuousBatching",
            &["false"],
            "batches are made anew for each execution; a decoupled model answers in parts",
        ),
        ("maxNumSequence", &["0", "1"], SEQUENCES),
        ("maxRetryTimeoutInSec", &["300"], PYTHON),
        ("maxSequenceJobQueueSize", &["0", "1"], SEQUENCES),
        ("parallelLevel", &["0", "1"], ONE_DEVICE),
        ("parallelType", &["", "none"], ONE_DEVICE),
        (
            "responseTimeout",
            &["120"],
            "no execution is ended for its time; how long a request may wait for one says clientTimeoutInMills",
        ),
        ("runtimeType", &["python", "python3"], PYTHON),
        ("sequenceBatching", &["false"], SEQUENCES),
        ("sequenceMaxIdleMSec", &["0"], SEQUENCES),
        ("sequenceTimeoutMSec", &["0"], SEQUENCES),
        ("startupTimeout", &["120"], "a load may take as long as it takes"),
        ("stateful", &["false"], SEQUENCES),
        ("torchrun", &[], ONE_DEVICE),
        ("useJobTicket", &["false"], "requests wait for an instance; jobQueueSize says how many of them"),
        ("useVenv", &["false"], PYTHON),
    ],
    others: "it is no setting of TorchServe's own, but of a handler, and no Python is executed",
};

impl ModelSettings {
    /// Takes a setting by its name. The error says that the value is none for it; a text what is to be said of a setting that has no effect.
    pub fn set(&mut self, key: &str, value: &Setting) -> Result<Option<String>, String> {
        let text = match value {
            Setting::Scalar(text) => text.as_str(),
            Setting::List(each) if each.is_empty() => "",
            Setting::List(_) | Setting::Nested => "{}",
        };
        let within = |least, most| number(key, text, least, most);
        match key {
            "batchSize" => self.batch_size = within(1, MAX)?,
            "maxBatchDelay" => self.max_batch_delay = within(0, MAX)?,
            "minWorkers" => self.min_workers = within(0, MAX_WORKERS)?,
            "maxWorkers" => drop(within(0, MAX_WORKERS)?),
            "jobQueueSize" => self.job_queue_size = within(0, MAX)?.filter(|&most| most > 0),
            "clientTimeoutInMills" => self.client_timeout = within(0, MAX)?.filter(|&most| most > 0),
            "deviceType" => return Ok(self.set_device(text)),
            "deviceIds" => self.device_ids = devices(value)?,
            _ => return Ok(MODEL_KEYS.fault(key, text)),
        }
        Ok(None)
    }

    fn set_device(&mut self, device: &str) -> Option<String> {
        self.on_cpu = match &*device.to_ascii_lowercase() {
            "cpu" => Some(true),
            "gpu" => Some(false),
            none if is_nothing(none) || none == "none" => None,
            _ => {
                let device = device[..device.floor_char_boundary(40)].escape_debug();
                return Some(format!(
                    "'deviceType: {device}' has no effect: models are executed by GPUs of NVIDIA, gpu, or by the processor, cpu"
                ));
            }
        };
        None
    }

    /// These settings, and of `others` what these do not say.
    pub(crate) fn or(self, others: ModelSettings) -> ModelSettings {
        let devices = if self.device_ids.is_empty() { others.device_ids } else { self.device_ids };
        ModelSettings {
            batch_size: self.batch_size.or(others.batch_size),
            max_batch_delay: self.max_batch_delay.or(others.max_batch_delay),
            min_workers: self.min_workers.or(others.min_workers),
            on_cpu: self.on_cpu.or(others.on_cpu),
            device_ids: devices,
            job_queue_size: self.job_queue_size.or(others.job_queue_size),
            client_timeout: self.client_timeout.or(others.client_timeout),
        }
    }
}

pub(crate) fn is_nothing(value: &str) -> bool {
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

/// The GPUs of `deviceIds`.
fn devices(value: &Setting) -> Result<Vec<i32>, String> {
    let expected =
        || "deviceIds was expected to be a list of numbers of GPUs, as [0, 1], each once".to_owned();
    let list = match value {
        Setting::List(list) if list.len() <= MAX_DEVICES => list,
        Setting::Scalar(text) if is_nothing(text) => return Ok(Vec::new()),
        _ => return Err(expected()),
    };
    let mut devices: Vec<i32> = Vec::with_capacity(list.len());
    for text in list {
        let device = text.parse().ok().filter(|device| *device >= 0 && !devices.contains(device));
        devices.push(device.ok_or_else(expected)?);
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Setting {
        Setting::Scalar(text.to_owned())
    }

    #[test]
    fn every_setting_is_honoured_or_has_a_reason() {
        for key in MODEL_KEYS.honoured {
            assert!(MODEL_KEYS.without_effect.iter().all(|(other, ..)| other != key), "{key}");
            let told = ["1", "cpu", ""].map(|value| ModelSettings::default().set(key, &scalar(value)));
            assert!(told.contains(&Ok(None)), "{key}: {told:?}");
        }
        for (key, usual, why) in MODEL_KEYS.without_effect {
            let expected = format!("'{key}' has no effect: {why}");
            assert_eq!(ModelSettings::default().set(key, &scalar("7")), Ok(Some(expected)), "{key}");
            for usual in *usual {
                assert_eq!(ModelSettings::default().set(key, &scalar(usual)), Ok(None), "{key}");
            }
        }
        let nested = ModelSettings::default().set("torchrun", &Setting::Nested).unwrap().unwrap();
        assert!(nested.starts_with("'torchrun' has no effect: each instance"), "{nested}");
    }

    #[test]
    fn devices_are_numbers_of_gpus() {
        let list = |each: &[&str]| Setting::List(each.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(devices(&list(&["0", "2"])), Ok(vec![0, 2]));
        assert_eq!((devices(&list(&[])), devices(&scalar("~"))), (Ok(Vec::new()), Ok(Vec::new())));
        for wrong in [list(&["-1"]), list(&["gpu"]), list(&["1", "1"]), scalar("0"), Setting::Nested] {
            assert!(
                devices(&wrong).unwrap_err().starts_with("deviceIds was expected to be a list"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_kind_of_device_that_is_not_known_is_told() {
        let of = |text: &str| {
            let mut settings = ModelSettings::default();
            (settings.set("deviceType", &scalar(text)).unwrap(), settings.on_cpu)
        };
        assert_eq!((of("cpu"), of("GPU"), of("")), ((None, Some(true)), (None, Some(false)), (None, None)));
        let (told, on_cpu) = of("neuron");
        assert!(told.unwrap().starts_with("'deviceType: neuron' has no effect: ") && on_cpu.is_none());
    }

    #[test]
    fn what_is_not_said_is_taken_from_others() {
        let one = ModelSettings { batch_size: Some(2), device_ids: vec![1], ..ModelSettings::default() };
        let other = ModelSettings {
            batch_size: Some(8),
            min_workers: Some(3),
            device_ids: vec![0],
            ..ModelSettings::default()
        };
        let expected = ModelSettings { min_workers: Some(3), ..one.clone() };
        assert_eq!(one.or(other), expected);
    }
}
