//! Instance groups: kinds, GPUs, counts and limits.

use std::collections::BTreeMap;

use hippocamp_proto::inference::{ModelInstanceGroup, model_instance_group::Kind};

use super::Check;
use crate::triton_backends::TENSORRT_PLAN;
use crate::{DefaultFacts, FaultKind, WithoutGpu};

/// Instances in one group. Each has a thread and, with most backends, a copy of the model, so that more is a slip of
/// the pen rather than a wish.
const MAX_COUNT: i32 = 4096;

impl Check<'_> {
    pub(super) fn instance_groups(&mut self) {
        if crate::is_ensemble(self.config) {
            return;
        }
        for (index, group) in self.config.instance_group.iter().enumerate() {
            let path = format!("instance_group[{index}]");
            let title = self.group_title(index, group);
            if matches!(group.kind(), Kind::Model | Kind::Cpu) && !group.gpus.is_empty() {
                let kind = group.kind().as_str_name();
                let message = format!("{title} has kind {kind} but specifies one or more GPUs");
                self.fault_of(FaultKind::Superfluous, &format!("{path}.gpus"), message);
            }
            if group.count > MAX_COUNT {
                let message = format!("{title} has count {}, expected at most {MAX_COUNT}", group.count);
                self.fault(&format!("{path}.count"), message);
            }
            self.profiles(&path, &title, group);
            self.resources(&path, group);
        }
    }

    /// What can only be said about a machine.
    pub(super) fn placement(&mut self, facts: &DefaultFacts) {
        let usable = facts.gpus_for(self.config);
        let none = match facts.backend(&self.config.backend).without_gpu {
            WithoutGpu::Impossible => FaultKind::NeedsGpu,
            WithoutGpu::Refused | WithoutGpu::OnCpu => FaultKind::NoGpu { usable: Vec::new() },
        };
        for (index, group) in self.config.instance_group.iter().enumerate() {
            if group.kind() != Kind::Gpu {
                continue;
            }
            let path = format!("instance_group[{index}]");
            let title = self.group_title(index, group);
            if !facts.supports_gpus(self.config) {
                let message = format!("{title} has kind KIND_GPU but server does not support GPUs");
                self.fault_of(none.clone(), &format!("{path}.kind"), message);
            } else if usable.is_empty() {
                let message = format!("{title} has kind KIND_GPU but no GPUs are available");
                self.fault_of(none.clone(), &format!("{path}.kind"), message);
            } else if group.gpus.is_empty() {
                self.fault(&path, format!("{title} has kind KIND_GPU but specifies no GPUs"));
            } else {
                self.gpus(&path, &title, group, &usable);
            }
        }
    }

    fn gpus(&mut self, path: &str, title: &str, group: &ModelInstanceGroup, usable: &[i32]) {
        for (index, gpu) in group.gpus.iter().enumerate() {
            if !usable.contains(gpu) {
                let known: Vec<String> = usable.iter().map(ToString::to_string).collect();
                let message = format!(
                    "{title} specifies invalid or unsupported gpu id {gpu}. Supported GPUs are: {}",
                    known.join(", ")
                );
                let kind = FaultKind::NoGpu { usable: usable.to_vec() };
                self.fault_of(kind, &format!("{path}.gpus[{index}]"), message);
            }
        }
    }

    fn profiles(&mut self, path: &str, title: &str, group: &ModelInstanceGroup) {
        let platform = &self.config.platform;
        let is_tensorrt = platform == TENSORRT_PLAN || self.config.backend == "tensorrt";
        if !is_tensorrt && !group.profile.is_empty() {
            let message = format!(
                "{title} and platform {platform}specifies profile field which is only supported for TensorRT models"
            );
            self.fault(&format!("{path}.profile"), message);
            return;
        }
        for (index, profile) in group.profile.iter().enumerate() {
            if profile.parse::<u32>().is_err() {
                let message = format!(
                    "{title} and platform {platform} specifies invalid profile {profile}. The field should contain \
                     the string representation of a non-negative integer."
                );
                self.fault(&format!("{path}.profile[{index}]"), message);
            }
        }
    }

    fn resources(&mut self, path: &str, group: &ModelInstanceGroup) {
        let Some(limiter) = &group.rate_limiter else { return };
        let mut scopes = BTreeMap::new();
        for (index, resource) in limiter.resources.iter().enumerate() {
            if *scopes.entry(&resource.name).or_insert(resource.global) != resource.global {
                let message = format!(
                    "Resource \"{}\" is present as both global and device-specific resource in the model \
                     configuration.",
                    resource.name
                );
                self.fault(&format!("{path}.rate_limiter.resources[{index}]"), message);
            }
        }
    }

    fn group_title(&self, index: usize, group: &ModelInstanceGroup) -> String {
        let name = if group.name.is_empty() { format!("{}_{index}", self.name) } else { group.name.clone() };
        format!("instance group {name} of model {}", self.name)
    }
}
