//! What a step is.

use hippocamp_backend::Result;
use serde::de::DeserializeOwned;

use crate::pipeline::Ports;
use crate::value::Values;

/// A step as it is written in `pipeline.toml`: its parameters, and the names that it reads and writes.
///
/// Derive `Deserialize` with `deny_unknown_fields`; the key `op` is taken out before.
pub(crate) trait StepFile: DeserializeOwned {
    /// The name by which the file calls it.
    const OP: &'static str;

    /// Checks the parameters and binds the names. What is wrong goes to `ports`, as often as there is something; then
    /// what is returned is never run.
    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step>;
}

/// A step that is ready to run. An instance has a copy of its own, with the scratch memory in it.
pub(crate) trait Step: CloneStep + Send + Sync {
    /// Runs for one picture (one row of a request): reads the values of its slots and sets those that it writes.
    ///
    /// An error fails the request that the picture came with, and no other. It says what is wrong with the picture; the
    /// names of model and step are put before it by the caller. What cannot be processed is `invalid_arg`.
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
