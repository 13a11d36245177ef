//! Plans the instances of a model from the instance groups of its config.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Result};
use hippocamp_device::Devices;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::ModelInstanceGroup;
use hippocamp_proto::inference::model_instance_group::Kind;
use hippocamp_proto::inference::model_rate_limiter::Resource;
use hippocamp_scheduler::{Demand, InstancePlan, RateLimiter, ResourceDemand, StandsAside};

use crate::{HostPolicy, host_policy};

/// Returns one plan for each instance, in the order of the groups. A GPU group has `count` instances on each of its devices;
/// a passive group has none, as its instances get no requests.
pub fn plans(
    config: &Arc<ModelConfig>,
    interface: &Arc<Interface>,
    host_policies: &BTreeMap<String, HostPolicy>,
    rate_limiter: Option<&Arc<RateLimiter>>,
    devices: &Devices,
) -> Result<Vec<InstancePlan>> {
    let mut plans = Vec::new();
    let mut demands = Vec::new();
    for group in config.instance_group.iter().filter(|group| !group.passive) {
        let devices = match group.kind() {
            Kind::Gpu => group.gpus.iter().map(|&gpu| Device::Gpu(gpu)).collect(),
            // A model of KIND_MODEL chooses its devices itself. The defaults have replaced KIND_AUTO already.
            Kind::Cpu | Kind::Model | Kind::Auto => vec![Device::Cpu],
        };
        for device in devices {
            let cores = host_policy::cores(host_policies, group, device)?;
            for _ in 0..group.count.max(1) {
                let index = plans.len();
                let name = format!("{}_{index}", group.name);
                let (config, interface) = (Arc::clone(config), Arc::clone(interface));
                let spec = InstanceSpec { name, index, device, config, interface };
                plans.push(InstancePlan { spec, cores: cores.clone(), limited: None, stands_aside: None });
                demands.push(demand(group, device));
            }
        }
    }
    if plans.is_empty() {
        return Err(Error::invalid_arg(format!(
            "model '{}' has no instance: give it an instance_group with a count of 1 or more",
            config.name
        )));
    }
    stand_aside(&mut plans, devices);
    if let Some(limiter) = rate_limiter {
        for (plan, limited) in plans.iter_mut().zip(limiter.register(&demands)?) {
            plan.limited = limited;
        }
    }
    Ok(plans)
}

/// How many instances the groups of a config have.
pub fn count(config: &ModelConfig) -> usize {
    let active = config.instance_group.iter().filter(|group| !group.passive);
    let each = active.map(|group| {
        let places = if group.kind() == Kind::Gpu { group.gpus.len() } else { 1 };
        usize::try_from(group.count.max(1)).unwrap_or(1) * places
    });
    each.sum()
}

/// Has each instance on a GPU leave requests to the others when that GPU is lost, as long as one of them is not.
fn stand_aside(plans: &mut [InstancePlan], devices: &Devices) {
    let places: BTreeSet<Option<i32>> = plans.iter().map(|plan| gpu(plan.spec.device)).collect();
    let places: Arc<[Option<i32>]> = places.into_iter().collect();
    if places.len() < 2 {
        return;
    }
    for plan in plans {
        let Some(own) = gpu(plan.spec.device) else { continue };
        let (places, devices) = (Arc::clone(&places), devices.clone());
        let lost = move |id: i32| devices.lost(id).is_some();
        let aside = move || lost(own) && places.iter().any(|place| place.is_none_or(|id| !lost(id)));
        plan.stands_aside = Some(StandsAside::when(aside));
    }
}

fn gpu(device: Device) -> Option<i32> {
    match device {
        Device::Gpu(id) => Some(id),
        Device::Cpu => None,
    }
}

/// The resources that an instance acquires from the rate limiter.
fn demand(group: &ModelInstanceGroup, device: Device) -> Demand {
    let resource = |resource: &Resource| ResourceDemand {
        name: resource.name.clone(),
        count: u64::from(resource.count),
        global: resource.global,
    };
    let device = gpu(device).unwrap_or(0);
    let limits = group.rate_limiter.as_ref();
    Demand {
        resources: limits.map(|limits| limits.resources.iter().map(resource).collect()).unwrap_or_default(),
        priority: limits.map_or(1, |limits| limits.priority),
        device,
    }
}
