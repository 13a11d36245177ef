//! The traits of a step.

use hippocamp_backend::Result;
use serde::de::DeserializeOwned;

use crate::pipeline::Ports;
use crate::value::Values;

/// A step as written in `pipeline.toml`: its parameters, and the names that it reads and writes.
///
/// Derive `Deserialize` with `deny_unknown_fields`; the key `op` is removed before.
pub(crate) trait StepFile: DeserializeOwned {
    /// The value of the key `op`.
    const OP: &'static str;

    /// Checks the parameters and binds the names. Faults are added to `ports`; if there are any, the returned step is
    /// never run.
    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step>;
}

/// A step that is ready to run. Each instance has a copy with scratch memory of its own.
pub(crate) trait Step: CloneStep + Send + Sync {
    /// Processes one image (one row of a request): reads the values of its slots and sets those that it writes.
    ///
    /// An error fails only the request of this image. It says what is wrong with the image, with code `invalid_arg` for
    /// invalid data; the caller puts the names of model and step before it.
    fn run(&mut self, values: &mut Values) -> Result<()>;
}

/// `Clone` for a boxed step.
pub(crate) trait CloneStep {
    fn clone_step(&self) -> Box<dyn Step>;
}

impl<S: Step + Clone + 'static> CloneStep for S {
    fn clone_step(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Step> {
    fn clone(&self) -> Self {
        (**self).clone_step()
    }
}
