//! The settings that backends get from the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hippocamp_device::Devices;
use serde_json::json;

use crate::library::PYTHON;

/// Where backends are, and the settings that they get.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// The directory that has a folder for each backend.
    pub backend_directory: PathBuf,
    /// The settings of the command line: backend, key and value; those without a backend are for all of them.
    pub config: Vec<(String, String, String)>,
    /// The settings of host policies, as the command line gives them: policy, setting and value.
    pub host_policies: Vec<(String, String, String)>,
    /// Whether backends may complete the configs of models.
    pub auto_complete_config: bool,
    /// The devices of this machine, which backends may have tensors on.
    pub devices: Devices,
    /// The bytes of a GPU's memory that a backend may have for itself, by the id of the GPU; 64 MiB unless it is named.
    pub gpu_pools: BTreeMap<i32, u64>,
}

impl HostSettings {
    /// Triton's directory of backends.
    pub const BACKEND_DIRECTORY: &str = "/opt/tritonserver/backends";
}

impl Default for HostSettings {
    fn default() -> HostSettings {
        HostSettings {
            backend_directory: HostSettings::BACKEND_DIRECTORY.into(),
            config: Vec::new(),
            host_policies: Vec::new(),
            auto_complete_config: true,
            devices: Devices::none(),
            gpu_pools: BTreeMap::new(),
        }
    }
}

impl HostSettings {
    /// The settings of a backend, as it gets them: those of its own go before those of all. One that is Python has those of
    /// the Python backend.
    pub(crate) fn config_of(&self, name: &str, is_python_based: bool) -> String {
        let own = if is_python_based { PYTHON } else { name };
        let mut cmdline: BTreeMap<&str, &str> = BTreeMap::new();
        let directory = self.backend_directory.to_string_lossy();
        cmdline.insert("auto-complete-config", if self.auto_complete_config { "true" } else { "false" });
        cmdline.insert("min-compute-capability", "6.000000");
        cmdline.insert("backend-directory", &directory);
        cmdline.insert("default-max-batch-size", "4");
        for wanted in ["", own] {
            let given = self.config.iter().filter(|(backend, ..)| backend == wanted);
            cmdline.extend(given.map(|(_, key, value)| (key.as_str(), value.as_str())));
        }
        json!({ "cmdline": cmdline }).to_string()
    }

    /// The last value of a setting of a backend: its own, or that of all backends.
    pub(crate) fn own_or_general(&self, backend: &str, key: &str) -> Option<&str> {
        let of = |wanted: &str| {
            let given = self.config.iter().rfind(|(of, given, _)| of == wanted && given == key);
            given.map(|(.., value)| value.as_str())
        };
        of(backend).or_else(|| of(""))
    }

    /// A host policy, as instances get it: the last value of each of its settings.
    pub(crate) fn host_policy(&self, name: &str) -> String {
        let own = self.host_policies.iter().filter(|(policy, ..)| policy == name);
        let settings: BTreeMap<&str, &str> =
            own.map(|(_, key, value)| (key.as_str(), value.as_str())).collect();
        json!({ name: settings }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_own_settings_go_first_and_all_are_strings() {
        let setting = |backend: &str, key: &str, value: &str| (backend.into(), key.into(), value.into());
        let settings = HostSettings {
            backend_directory: "/b".into(),
            config: vec![
                setting("python", "x", "1"),
                setting("", "x", "2"),
                setting("", "default-max-batch-size", "8"),
                setting("other", "y", "3"),
            ],
            host_policies: Vec::new(),
            auto_complete_config: false,
            devices: Devices::none(),
            gpu_pools: BTreeMap::new(),
        };
        let expected = |x: &str| {
            format!(
                r#"{{"cmdline":{{"auto-complete-config":"false","backend-directory":"/b","default-max-batch-size":"8","min-compute-capability":"6.000000","x":"{x}"}}}}"#
            )
        };
        assert_eq!(settings.config_of("python", false), expected("1"));
        assert_eq!(settings.config_of("mine", true), expected("1"));
        assert_eq!(settings.config_of("mine", false), expected("2"));
    }

    #[test]
    fn a_host_policy_has_its_settings_as_text() {
        let setting = |policy: &str, key: &str, value: &str| (policy.into(), key.into(), value.into());
        let host_policies = vec![
            setting("near", "numa-node", "1"),
            setting("cpu", "cpu-cores", "0"),
            setting("near", "cpu-cores", "2-3"),
            setting("near", "numa-node", "0"),
        ];
        let settings = HostSettings { host_policies, ..HostSettings::default() };
        assert_eq!(settings.host_policy("near"), r#"{"near":{"cpu-cores":"2-3","numa-node":"0"}}"#);
        assert_eq!(settings.host_policy("gpu_0"), r#"{"gpu_0":{}}"#);
    }
}
