//! Flags about the instances of models.

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::Args;
use hippocamp_core::HostPolicy;

#[derive(Debug, Args)]
#[command(next_help_heading = "Instances")]
pub(crate) struct InstancesArgs {
    /// Where instances of that host policy run: NAME,cpu-cores=0-3,8 or NAME,numa-node=0. May be given several times.
    /// Groups that name no host policy have that of their kind: cpu, model, or `gpu_0` and so on.
    #[arg(long, value_name = "NAME,SETTING=VALUE")]
    pub(crate) host_policy: Vec<HostPolicySetting>,
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
    pub(crate) fn host_policies(&self) -> anyhow::Result<BTreeMap<String, HostPolicy>> {
        let mut policies: BTreeMap<String, HostPolicy> = BTreeMap::new();
        for HostPolicySetting { policy, setting, value } in &self.host_policy {
            let set = policies.entry(policy.clone()).or_default().set(setting, value);
            set.map_err(|fault| anyhow::anyhow!("--host-policy={policy},{setting}={value}: {fault}"))?;
        }
        Ok(policies)
    }
}
