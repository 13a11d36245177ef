//! Triton's own backends, with the settings of the command line.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_triton::{HostSettings, TritonBackends};
use hippocamp_device::Devices;

use crate::args::Args;

/// The source of Triton's backends.
pub(crate) fn backends(args: &Args, devices: &Devices) -> Vec<Arc<dyn Backend>> {
    let models = &args.models;
    let setting = |config: &crate::args::BackendConfig| {
        (config.backend.clone(), config.key.clone(), config.value.clone())
    };
    let settings = HostSettings {
        backend_directory: crate::repositories::absolute(&models.backend_directory),
        config: models.backend_config.iter().map(setting).collect(),
        host_policies: args.instances.host_policy_settings().collect(),
        auto_complete_config: !models.disable_auto_complete_config
            && models.strict_model_config != Some(true),
        devices: devices.clone(),
        gpu_pools: args.gpus.settings().memory_pool_byte_size,
    };
    vec![Arc::new(TritonBackends::new(settings))]
}
