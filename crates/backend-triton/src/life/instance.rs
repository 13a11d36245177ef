//! An instance of a model.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use hippocamp_backend::Device;
use hippocamp_model_config::{Interface, ModelConfig, TensorSpec, sequence_batching};

use super::{ModelObject, State};
use crate::border::{InstanceKind, Kind, Object, Out, Owned, Ref, Registry, Returned, call, text};
use crate::objects::MessageObject;
use crate::response::{Executions, Outstanding};

/// An instance.
#[derive(Debug)]
pub(crate) struct InstanceObject {
    pub(crate) name: CString,
    pub(crate) kind: InstanceKind,
    pub(crate) device: Device,
    pub(crate) model: Ref<ModelObject>,
    pub(crate) host_policy: Owned<MessageObject>,
    pub(crate) profiles: Vec<CString>,
    /// Kind and id of each.
    pub(crate) secondary_devices: Vec<(CString, i64)>,
    pub(crate) state: State,
    /// The requests that the backend has not given back.
    pub(crate) outstanding: Arc<Outstanding>,
    pub(crate) executions: Executions,
}

/// The tensors of a model, with their names as backends get them.
#[derive(Debug)]
pub(crate) struct TensorNames {
    pub(crate) interface: Arc<Interface>,
    /// In the order of [`Interface::all_inputs`].
    pub(crate) inputs: Vec<CString>,
    /// In the order of [`Interface::all_outputs`].
    pub(crate) outputs: Vec<CString>,
    /// The outputs of clients in the order of their names.
    pub(crate) sorted_outputs: Vec<usize>,
    /// The outputs that are the next values of implicit states.
    pub(crate) states: Vec<usize>,
    /// Requests may be executed several times, until they are answered.
    pub(crate) is_iterative: bool,
}

impl TensorNames {
    pub(crate) fn new(interface: &Arc<Interface>, config: &ModelConfig) -> TensorNames {
        let batching = sequence_batching(config);
        let states = batching
            .iter()
            .flat_map(|batching| &batching.state)
            .filter_map(|state| interface.all_outputs().position(|spec| *spec.name == *state.output_name));
        let mut sorted_outputs: Vec<usize> = (0..interface.outputs.len()).collect();
        sorted_outputs.sort_by(|&a, &b| interface.outputs[a].name.cmp(&interface.outputs[b].name));
        TensorNames {
            inputs: interface.all_inputs().map(|spec| text(&spec.name)).collect(),
            outputs: interface.all_outputs().map(|spec| text(&spec.name)).collect(),
            interface: Arc::clone(interface),
            sorted_outputs,
            states: states.collect(),
            is_iterative: batching.is_some_and(|batching| batching.iterative_sequence),
        }
    }

    /// The output at that place of the model's list, the server's own ones included.
    pub(crate) fn output(&self, index: usize) -> &TensorSpec {
        let clients = &self.interface.outputs;
        clients.get(index).unwrap_or_else(|| &self.interface.added_outputs[index - clients.len()])
    }

    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        &self.interface.model
    }
}

impl Object for InstanceObject {
    const KIND: Kind = Kind::ModelInstance;

    fn registry() -> &'static Registry<Self> {
        static INSTANCES: Registry<InstanceObject> = Registry::new(Kind::ModelInstance);
        &INSTANCES
    }
}

pub(crate) extern "C" fn model(instance: Ref<InstanceObject>, model: Out<Ref<ModelObject>>) -> Returned {
    call("TRITONBACKEND_ModelInstanceModel", || model.set("model", instance.get()?.model))
}

pub(crate) extern "C" fn state(instance: Ref<InstanceObject>, state: Out<*mut c_void>) -> Returned {
    call("TRITONBACKEND_ModelInstanceState", || instance.get()?.state.get(state))
}

pub(crate) extern "C" fn set_state(instance: Ref<InstanceObject>, state: *mut c_void) -> Returned {
    call("TRITONBACKEND_ModelInstanceSetState", || {
        instance.get()?.state.set(state);
        Ok(())
    })
}
