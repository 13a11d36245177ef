//! From a config's instance groups to the instances to make.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Result};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_instance_group::Kind;
use hippocamp_scheduler::InstancePlan;

use crate::HostPolicy;
use crate::host_policy;

/// One plan an instance, group by group. GPU groups have `count` instances on each of their devices; passive groups are
/// not for requests.
pub(crate) fn plans(
    config: &Arc<ModelConfig>,
    interface: &Arc<Interface>,
    host_policies: &BTreeMap<String, HostPolicy>,
) -> Result<Vec<InstancePlan>> {
    let mut plans = Vec::new();
    for group in config.instance_group.iter().filter(|group| !group.passive) {
        let devices = match group.kind() {
            Kind::Gpu => group.gpus.iter().map(|&gpu| Device::Gpu(gpu)).collect(),
            // A model of KIND_MODEL places itself; AUTO was resolved before.
            Kind::Cpu | Kind::Model | Kind::Auto => vec![Device::Cpu],
        };
        for device in devices {
            let cores = host_policy::cores(host_policies, group, device)?;
            for _ in 0..group.count.max(1) {
                let index = plans.len();
                let name = format!("{}_{index}", group.name);
                let (config, interface) = (Arc::clone(config), Arc::clone(interface));
                let spec = InstanceSpec { name, index, device, config, interface };
                plans.push(InstancePlan { spec, cores: cores.clone() });
            }
        }
    }
    if plans.is_empty() {
        return Err(Error::invalid_arg(format!(
            "model '{}' has no instance: give it an instance_group with a count of 1 or more",
            config.name
        )));
    }
    Ok(plans)
}
