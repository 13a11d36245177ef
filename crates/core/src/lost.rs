//! What becomes of models whose GPUs are lost, or whose instances.

use std::collections::BTreeMap;

use hippocamp_device::Devices;
use hippocamp_lifecycle::{State, VersionState};

use crate::{InferenceServer, LoadedModel};

/// Whether no instance of the model can execute, as each is on a GPU that is lost.
fn has_lost_gpus(model: &LoadedModel, devices: &Devices) -> bool {
    let mut groups = model.config.instance_group.iter().filter(|group| !group.passive).peekable();
    let lost = |id: &i32| devices.lost(*id).is_some();
    // A group that is not on GPUs has none.
    groups.peek().is_some() && groups.all(|group| !group.gpus.is_empty() && group.gpus.iter().all(lost))
}

impl InferenceServer {
    /// Whether a model that serves has an instance that can execute.
    pub(crate) fn can_execute(&self, model: &LoadedModel) -> bool {
        self.why_lost(model).is_none()
    }

    /// Why a model that serves cannot execute.
    fn why_lost(&self, model: &LoadedModel) -> Option<String> {
        let devices = &self.settings().devices;
        if !devices.all().is_empty() && has_lost_gpus(model, devices) {
            return Some("its GPUs are lost".to_owned());
        }
        model.why_lost().map(|error| format!("its instances are lost: {}", error.message()))
    }

    /// Whether a model that serves cannot execute.
    pub(crate) fn any_lost(&self) -> bool {
        self.lifecycle.routes().all().iter().any(|model| !self.can_execute(model))
    }

    /// Puts into the states of versions which of them cannot execute, and why.
    pub(crate) fn show_lost(&self, states: &mut BTreeMap<String, BTreeMap<u64, VersionState>>) {
        for model in self.lifecycle.routes().all() {
            let Some(why) = self.why_lost(&model) else { continue };
            let state = states.get_mut(&*model.name).and_then(|versions| versions.get_mut(&model.version));
            if let Some(state) = state.filter(|state| state.state == State::Ready) {
                *state = VersionState::new(State::Unavailable, why);
            }
        }
    }
}
