//! The limit of a GPU's memory: no model is loaded there that leaves more in use.

use std::collections::BTreeSet;

use hippocamp_backend::{Device, Error, Result};
use hippocamp_scheduler::InstancePlan;

use crate::Context;

/// The GPUs on which the instances are.
pub(crate) fn gpus(plans: &[InstancePlan]) -> BTreeSet<i32> {
    let of = |plan: &InstancePlan| match plan.spec.device {
        Device::Gpu(id) => Some(id),
        Device::Cpu => None,
    };
    plans.iter().filter_map(of).collect()
}

/// Fails if more of a GPU's memory is in use than the limit allows, once the model's instances are there: only then it is known
/// what they take. It counts what other processes use, too.
pub(crate) fn check(model: &str, gpus: &BTreeSet<i32>, context: &Context) -> Result<()> {
    for (id, limit) in &context.settings.gpu_limits {
        if !gpus.contains(id) {
            continue;
        }
        let (used, total) = context.devices.used_memory(*id).map_err(|error| {
            Error::internal(format!("model '{model}': the limit of GPU {id} cannot be checked: {error}"))
        })?;
        if used as f64 > total as f64 * limit {
            return Err(Error::unavailable(format!(
                "can not create model '{model}': memory limit set for GPU {id} has exceeded, model loading is rejected. {used} of \
                 {total} bytes would be in use, and --model-load-gpu-limit is {limit}"
            )));
        }
    }
    Ok(())
}
