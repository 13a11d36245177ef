//! Flags about the instances of models.

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};
use hippocamp_core::{HostPolicy, ResourceCount};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Instances")]
pub(crate) struct InstancesArgs {
    /// Where instances of that host policy run: NAME,cpu-cores=0-3,8 or NAME,numa-node=0. May be given several times.
    /// Groups that name no host policy have that of their kind: cpu, model, or `gpu_0` and so on.
    #[arg(long, value_name = "NAME,SETTING=VALUE")]
    pub(crate) host_policy: Vec<HostPolicySetting>,

    /// Run instances that a config places on GPUs on the CPU, with a warning, where these GPUs cannot be used. Without it such
    /// a model is refused, as Triton does.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) cpu_fallback: bool,

    /// Whether instances execute only while they hold the resources that their groups ask for, with turns by priority:
    /// `execution_count`; or whenever they can: off.
    #[arg(long, value_name = "MODE", default_value = "off", ignore_case = true)]
    pub(crate) rate_limit: RateLimitMode,

    /// How many of a resource there are, on every device or on one. May be given several times; without it there is as
    /// much of everything as the instance needs that needs most. For --rate-limit=execution_count.
    #[arg(long, value_name = "NAME:COUNT[:DEVICE]")]
    pub(crate) rate_limit_resource: Vec<RateLimitResource>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateLimitMode {
    Off,
    #[value(name = "execution_count")]
    ExecutionCount,
}

/// One `--rate-limit-resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RateLimitResource(ResourceCount);

impl FromStr for RateLimitResource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let format = || {
            format!(
                "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or \
                 '<resource_name>:<count>'. Got {text}"
            )
        };
        let (name, rest) = text.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(format)?;
        let (count, device) =
            rest.split_once(':').map_or((rest, None), |(count, device)| (count, Some(device)));
        let count = count.parse().map_err(|_| format())?;
        // A device number, which is not negative.
        let device = device.map(str::parse::<u16>).transpose().map_err(|_| format())?;
        Ok(RateLimitResource(ResourceCount { name: name.to_owned(), count, device: device.map(i32::from) }))
    }
}

/// One `--host-policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPolicySetting {
    policy: String,
    setting: String,
    value: String,
}

impl FromStr for HostPolicySetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let format =
            || format!("--host-policy option format is '<policy name>,<setting>=<value>'. Got {text}");
        let (policy, setting) = text.split_once(',').ok_or_else(format)?;
        let (setting, value) = setting.split_once('=').ok_or_else(format)?;
        if [policy, setting, value].contains(&"") {
            return Err(format());
        }
        Ok(HostPolicySetting {
            policy: policy.to_owned(),
            setting: setting.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl InstancesArgs {
    /// The resources of the rate limiter; `None` if it is off.
    pub(crate) fn rate_limit(&self) -> Option<Vec<ResourceCount>> {
        let resources = || self.rate_limit_resource.iter().map(|resource| resource.0.clone()).collect();
        (self.rate_limit == RateLimitMode::ExecutionCount).then(resources)
    }

    /// The settings of host policies: policy, setting and value.
    #[cfg(feature = "triton")]
    pub(crate) fn host_policy_settings(&self) -> impl Iterator<Item = (String, String, String)> {
        self.host_policy.iter().map(|HostPolicySetting { policy, setting, value }| {
            (policy.clone(), setting.clone(), value.clone())
        })
    }

    pub(crate) fn host_policies(&self) -> anyhow::Result<BTreeMap<String, HostPolicy>> {
        let mut policies: BTreeMap<String, HostPolicy> = BTreeMap::new();
        for HostPolicySetting { policy, setting, value } in &self.host_policy {
            let set = policies.entry(policy.clone()).or_default().set(setting, value);
            set.map_err(|fault| anyhow::anyhow!("--host-policy={policy},{setting}={value}: {fault}"))?;
        }
        Ok(policies)
    }
}
