//! The configs of the models that an archive becomes.

use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_ensembling::Step;
use hippocamp_proto::inference::model_instance_group::Kind as GroupKind;
use hippocamp_proto::inference::{
    DataType, ModelEnsembling, ModelInput, ModelInstanceGroup, ModelOutput, model_config::SchedulingChoice,
};

use crate::Port;
use crate::pipelines::Pipelines;
use crate::wiring::Wiring;

/// The config of a pipeline.
pub(crate) fn vision(name: &str, max_batch_size: u32, count: Option<u32>) -> ModelConfig {
    let instances = ModelInstanceGroup {
        count: count.unwrap_or(1) as i32,
        kind: GroupKind::Cpu as i32,
        ..ModelInstanceGroup::default()
    };
    ModelConfig {
        name: name.to_owned(),
        backend: "vision".to_owned(),
        max_batch_size: max_batch_size as i32,
        instance_group: vec![instances],
        ..ModelConfig::default()
    }
}

pub(crate) fn input(port: &Port, dims: &[i64]) -> ModelInput {
    ModelInput {
        name: port.name.clone(),
        data_type: port.data_type as i32,
        dims: dims.to_vec(),
        ..ModelInput::default()
    }
}

pub(crate) fn output(port: &Port, dims: &[i64]) -> ModelOutput {
    ModelOutput {
        name: port.name.clone(),
        data_type: port.data_type as i32,
        dims: dims.to_vec(),
        ..ModelOutput::default()
    }
}

/// One text or file.
fn bytes(name: &str) -> Port {
    Port { name: name.to_owned(), data_type: DataType::TypeString, dims: vec![1] }
}

/// The names of an ensemble's steps.
#[derive(Clone, Debug)]
pub(crate) struct StepNames {
    pub(crate) before: String,
    pub(crate) network: String,
    pub(crate) behind: String,
}

impl StepNames {
    pub(crate) fn of(name: &str) -> StepNames {
        let step = |part: &str| format!("{name}-{part}");
        StepNames { before: step("preprocess"), network: step("network"), behind: step("postprocess") }
    }
}

/// The config of the ensemble: the pipelines around the network, whose own config is `network`.
pub(crate) fn ensemble(
    name: &str,
    names: &StepNames,
    network: &ModelConfig,
    pipelines: &Pipelines,
    wiring: &Wiring,
) -> ModelConfig {
    let mut steps = Vec::new();
    let same = |names: &[String]| names.iter().map(|name| (name.clone(), name.clone())).collect();
    let step = |name: &str| Step { model_name: name.to_owned(), model_version: -1, ..Step::default() };
    if let Some(before) = &pipelines.before {
        steps.push(Step {
            input_map: same(&before.inputs),
            output_map: same(&before.outputs),
            ..step(&names.before)
        });
    }
    steps.push(Step {
        input_map: wiring.inputs.iter().map(|(own, other)| (own.clone(), other.clone())).collect(),
        output_map: wiring.outputs.iter().map(|(own, other)| (own.clone(), other.clone())).collect(),
        ..step(&names.network)
    });
    if let Some(behind) = &pipelines.behind {
        steps.push(Step {
            input_map: same(&behind.inputs),
            output_map: same(&behind.outputs),
            ..step(&names.behind)
        });
    }
    let batched = network.max_batch_size > 0;
    let whole =
        |dims: &[i64]| if batched { dims.to_vec() } else { dims.get(1..).unwrap_or_default().to_vec() };
    let input = match &pipelines.before {
        Some(before) => before.inputs.iter().map(|name| input(&bytes(name), &[1])).collect(),
        None => network
            .input
            .iter()
            .map(|input| ModelInput { dims: whole(&input.dims), ..input.clone() })
            .collect(),
    };
    let output = match &pipelines.behind {
        Some(behind) => behind.outputs.iter().map(|name| output(&bytes(name), &[1])).collect(),
        None => network
            .output
            .iter()
            .map(|output| ModelOutput { dims: whole(&output.dims), ..output.clone() })
            .collect(),
    };
    ModelConfig {
        name: name.to_owned(),
        platform: "ensemble".to_owned(),
        max_batch_size: network.max_batch_size.max(1),
        input,
        output,
        scheduling_choice: Some(SchedulingChoice::EnsembleScheduling(ModelEnsembling {
            step: steps,
            max_inflight_requests: pipelines.before.as_ref().and_then(|_| most_at_once(network)).unwrap_or(0),
        })),
        ..ModelConfig::default()
    }
}

/// How many requests the network may have at once: those that its instances execute, and as many that wait. Further ones wait before
/// they are prepared: a picture is some tens of KB then, and some MB afterwards. `None` if only the backend knows how many instances there
/// are.
fn most_at_once(network: &ModelConfig) -> Option<u32> {
    let groups = &network.instance_group;
    let of_group = |group: &ModelInstanceGroup| group.count.max(0) as usize * group.gpus.len().max(1);
    let instances: usize = groups.iter().map(of_group).sum();
    let most = instances.saturating_mul(network.max_batch_size.max(1) as usize).saturating_mul(2);
    u32::try_from(most).ok().filter(|&most| most > 0)
}
