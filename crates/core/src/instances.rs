//! From a config's instance groups to the instances to make.

use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Result};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_instance_group::Kind;

/// One spec an instance, group by group. GPU groups have `count` instances on each of their devices.
pub(crate) fn specs(config: &Arc<ModelConfig>, interface: &Arc<Interface>) -> Result<Vec<InstanceSpec>> {
    let mut specs = Vec::new();
    for group in config.instance_group.iter().filter(|group| !group.passive) {
        let devices = match group.kind() {
            Kind::Gpu => group.gpus.iter().map(|&gpu| Device::Gpu(gpu)).collect(),
            // A model of KIND_MODEL places itself; AUTO was resolved before.
            Kind::Cpu | Kind::Model | Kind::Auto => vec![Device::Cpu],
        };
        for device in devices {
            for _ in 0..group.count.max(1) {
                let index = specs.len();
                let name = format!("{}_{index}", group.name);
                let (config, interface) = (Arc::clone(config), Arc::clone(interface));
                specs.push(InstanceSpec { name, index, device, config, interface });
            }
        }
    }
    if specs.is_empty() {
        return Err(Error::invalid_arg(format!(
            "model '{}' has no instance: give it an instance_group with a count of 1 or more",
            config.name
        )));
    }
    Ok(specs)
}
