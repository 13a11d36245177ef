//! How the network of an archive is executed: its batches, its instances and its queue.

use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_config::SchedulingChoice;
use hippocamp_proto::inference::model_instance_group::Kind as GroupKind;
use hippocamp_proto::inference::{ModelDynamicBatching, ModelInstanceGroup, ModelQueuePolicy};

use crate::settings::ModelSettings;

/// How long a request waits for others where nothing says so, in milliseconds.
const DELAY_MS: u32 = 100;

/// Applies what was asked for to the config of the model that a backend executes.
pub(crate) fn apply(asked: &ModelSettings, max_batch_size: u32, config: &mut ModelConfig) {
    config.max_batch_size = max_batch_size as i32;
    let limits = max_batch_size > 0 && (asked.job_queue_size.is_some() || asked.client_timeout.is_some());
    if (max_batch_size > 1 || limits) && config.scheduling_choice.is_none() {
        config.scheduling_choice = Some(SchedulingChoice::DynamicBatching(ModelDynamicBatching {
            max_queue_delay_microseconds: match max_batch_size {
                1 => 0,
                _ => u64::from(asked.max_batch_delay.unwrap_or(DELAY_MS)) * 1000,
            },
            ..ModelDynamicBatching::default()
        }));
    }
    if let Some(SchedulingChoice::DynamicBatching(batching)) = &mut config.scheduling_choice {
        limit(asked, batching);
    }
    place(asked, config);
}

/// Limits the queue, unless the config in the archive does.
fn limit(asked: &ModelSettings, batching: &mut ModelDynamicBatching) {
    if batching.default_queue_policy.is_none()
        && (asked.job_queue_size.is_some() || asked.client_timeout.is_some())
    {
        batching.default_queue_policy = Some(ModelQueuePolicy {
            max_queue_size: asked.job_queue_size.unwrap_or(0),
            default_timeout_microseconds: u64::from(asked.client_timeout.unwrap_or(0)) * 1000,
            ..ModelQueuePolicy::default()
        });
    }
}

/// The instances: how many, and where.
fn place(asked: &ModelSettings, config: &mut ModelConfig) {
    let count = asked.min_workers.filter(|&count| count > 0);
    if asked.on_cpu != Some(true) && !asked.device_ids.is_empty() {
        config.instance_group = on_gpus(&asked.device_ids, count, config.instance_group.first());
        return;
    }
    if let Some(count) = count {
        config.instance_group = vec![group(count, config.instance_group.first())];
    }
    if asked.on_cpu == Some(true) {
        if config.instance_group.is_empty() {
            config.instance_group.push(ModelInstanceGroup::default());
        }
        for group in &mut config.instance_group {
            group.kind = GroupKind::Cpu as i32;
            group.gpus.clear();
        }
    }
}

/// So many instances together, which go round the GPUs as the workers of TorchServe do. Where one of the GPUs is not there, they are on
/// the CPU: that is `KIND_AUTO`.
fn on_gpus(gpus: &[i32], count: Option<u32>, like: Option<&ModelInstanceGroup>) -> Vec<ModelInstanceGroup> {
    let on = |gpus: &[i32], each: u32| ModelInstanceGroup {
        kind: GroupKind::Auto as i32,
        gpus: gpus.to_vec(),
        // Each group has a name of its own, which it is given where it has none.
        name: String::new(),
        ..group(each, like)
    };
    let Some(count) = count else { return vec![on(gpus, 0)] };
    let (each, more) = (count / gpus.len() as u32, count as usize % gpus.len());
    let counts = (0..gpus.len()).map(|index| each + u32::from(index < more));
    let groups = gpus.chunks(1).zip(counts).filter(|(_, count)| *count > 0);
    groups.map(|(gpu, count)| on(gpu, count)).collect()
}

/// So many instances, where those of `like` are.
fn group(count: u32, like: Option<&ModelInstanceGroup>) -> ModelInstanceGroup {
    ModelInstanceGroup { count: count as i32, ..like.cloned().unwrap_or_default() }
}

/// What is to be said of limits that the model's queue cannot have. `alone` says that the network is all of the model.
pub(crate) fn without_effect(asked: &ModelSettings, network: &ModelConfig, alone: bool) -> Vec<String> {
    let why = match &network.scheduling_choice {
        _ if !alone => {
            "requests wait before the first of the models that the archive becomes, where there is no queue that could be full"
        }
        Some(SchedulingChoice::DynamicBatching(_)) => return Vec::new(),
        Some(_) => "the config.pbtxt of the archive says how requests are scheduled",
        None => {
            "only the queue of a model that batches has limits: let the first dimension of its inputs and outputs be free"
        }
    };
    let limits = [
        ("jobQueueSize", asked.job_queue_size.is_some()),
        ("clientTimeoutInMills", asked.client_timeout.is_some()),
    ];
    let asked = limits.into_iter().filter(|(_, is_asked)| *is_asked);
    asked.map(|(key, _)| format!("'{key}' has no effect: {why}")).collect()
}
