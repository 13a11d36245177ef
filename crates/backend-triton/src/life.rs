//! Backends, models and instances as backends see them: the objects behind their handles and the functions about them.

pub(crate) mod attribute;
pub(crate) mod backend;
pub(crate) mod instance;
pub(crate) mod instance_facts;
pub(crate) mod model;
mod state;

pub(crate) use attribute::{AttributeObject, Attributes, PreferredGroup};
pub(crate) use backend::{BackendObject, Policy};
pub(crate) use instance::{InstanceObject, TensorNames};
pub(crate) use model::{ConfigInUse, ModelObject, Phase};
pub(crate) use state::State;
