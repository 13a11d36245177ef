//! What becomes of models whose GPUs are lost.

use hippocamp_device::Devices;

use crate::{InferenceServer, LoadedModel};

/// Whether no instance of the model can execute, as each is on a GPU that is lost.
fn is_lost(model: &LoadedModel, devices: &Devices) -> bool {
    let mut groups = model.config.instance_group.iter().filter(|group| !group.passive).peekable();
    let lost = |id: &i32| devices.lost(*id).is_some();
    // A group that is not on GPUs has none.
    groups.peek().is_some() && groups.all(|group| !group.gpus.is_empty() && group.gpus.iter().all(lost))
}

impl InferenceServer {
    /// Whether a model that serves has an instance that can execute.
    pub(crate) fn can_execute(&self, model: &LoadedModel) -> bool {
        let devices = &self.settings().devices;
        devices.all().is_empty() || !is_lost(model, devices)
    }

    /// Whether a model that serves has lost its GPUs. Costs nothing where no GPU is lost.
    pub(crate) fn any_lost(&self) -> bool {
        let devices = &self.settings().devices;
        devices.gpus().any(|gpu| devices.lost(gpu.id).is_some())
            && self.lifecycle.routes().all().iter().any(|model| is_lost(model, devices))
    }
}
