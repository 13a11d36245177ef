//! Host policies: the CPU cores on which the instances of a group run.

use std::collections::BTreeMap;
use std::fs;

use hippocamp_backend::{Device, Error, Result};
use hippocamp_proto::inference::{ModelInstanceGroup, model_instance_group::Kind};
use hippocamp_scheduler::Cores;

/// The cores and the NUMA node that instances are bound to. Memory needs no binding: the kernel places a page on the node of the
/// thread that touches it first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// The numbers of the cores; all cores of the node if it is empty.
    cpu_cores: Vec<usize>,
    numa_node: Option<u32>,
}

impl HostPolicy {
    /// Applies one setting of the command line, by its name. Returns an error for an unknown name or a bad value.
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), String> {
        match setting {
            "cpu-cores" => self.cpu_cores = core_list(value)?,
            "numa-node" => {
                let node =
                    value.parse().map_err(|_| format!("expected a NUMA node's number, got '{value}'"))?;
                self.numa_node = Some(node);
            }
            _ => {
                return Err(format!(
                    "Unsupported host policy setting '{setting}' is specified, supported settings are 'numa-node', \
                     'cpu-cores'"
                ));
            }
        }
        Ok(())
    }

    fn cores(&self, name: &str) -> Result<Cores> {
        let Some(node) = self.numa_node.filter(|_| self.cpu_cores.is_empty()) else {
            return Ok(Cores::new(self.cpu_cores.clone()));
        };
        let path = format!("/sys/devices/system/node/node{node}/cpulist");
        let text = fs::read_to_string(path).map_err(|e| {
            let text = format!("host policy '{name}' asks for NUMA node {node}, which can not be read: {e}");
            Error::invalid_arg(text).with_source(e)
        })?;
        core_list(text.trim()).map(Cores::new).map_err(|fault| {
            Error::internal(format!("the cores of NUMA node {node} of host policy '{name}': {fault}"))
        })
    }
}

/// The cores of a group's instances on one device. A group that names no policy has that of its kind: `cpu`, `model`,
/// `gpu_0`. A policy that nobody defined binds nothing.
pub(crate) fn cores(
    policies: &BTreeMap<String, HostPolicy>,
    group: &ModelInstanceGroup,
    device: Device,
) -> Result<Cores> {
    let name = match (group.host_policy.as_str(), group.kind(), device) {
        ("", Kind::Model, _) => "model".to_owned(),
        ("", _, Device::Cpu) => "cpu".to_owned(),
        ("", _, Device::Gpu(id)) => format!("gpu_{id}"),
        (name, ..) => name.to_owned(),
    };
    policies.get(&name).map_or(Ok(Cores::default()), |policy| policy.cores(&name))
}

/// Cores as the kernel writes them: `0-3,8,10-11`.
fn core_list(text: &str) -> Result<Vec<usize>, String> {
    /// More cores than any machine has.
    const MAX: usize = 1 << 16;
    let wrong = || format!("expected cores like 0-3,8, got '{text}'");
    let mut cores = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) =
            (first.trim().parse().map_err(|_| wrong())?, last.trim().parse().map_err(|_| wrong())?);
        if first > last || last >= MAX {
            return Err(wrong());
        }
        cores.extend(first..=last);
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_cores_and_nothing_else() {
        assert_eq!(core_list("0-2,8,10-11").unwrap(), [0, 1, 2, 8, 10, 11]);
        for wrong in ["", "a", "3-1", "1,", "-1", "0-99999999999", "0-70000"] {
            assert!(core_list(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_without_a_policy_has_that_of_its_kind() {
        let mut policy = HostPolicy::default();
        policy.set("cpu-cores", "1").unwrap();
        let of = |kind, name: &str, defined: &str, device| {
            let mut group = ModelInstanceGroup { host_policy: name.to_owned(), ..Default::default() };
            group.set_kind(kind);
            cores(&[(defined.to_owned(), policy.clone())].into(), &group, device).unwrap()
        };
        let bound = Cores::new(vec![1]);
        assert_eq!(of(Kind::Cpu, "", "cpu", Device::Cpu), bound);
        assert_eq!(of(Kind::Model, "", "model", Device::Cpu), bound);
        assert_eq!(of(Kind::Gpu, "", "gpu_3", Device::Gpu(3)), bound);
        assert_eq!(of(Kind::Cpu, "mine", "mine", Device::Cpu), bound);
        assert_eq!(of(Kind::Cpu, "mine", "cpu", Device::Cpu), Cores::default());
    }

    #[test]
    fn a_node_that_is_not_there_is_told() {
        let mut policy = HostPolicy::default();
        policy.set("numa-node", "4000000").unwrap();
        assert!(
            policy.cores("far").unwrap_err().message().starts_with("host policy 'far' asks for NUMA node")
        );
        assert!(policy.set("numa-node", "x").is_err());
        assert!(policy.set("color", "x").unwrap_err().starts_with("Unsupported host policy setting 'color'"));
    }
}
