//! The rules of a config. All rules are checked, and every violation is reported with its place.
//!
//! The texts are Triton's where it has one. No rule needs the model file; [`check`](crate::check()) compares it with the config.

mod batching;
mod ensemble;
mod extras;
mod identity;
mod paths;
mod placement;
mod reshape;
mod sequence;
mod tensors;
mod warmup;

#[cfg(test)]
mod tests;

use crate::{DefaultFacts, FaultKind, ModelConfig, Spans};
use hippocamp_interface::Faults;

/// All rules, for a config that is ready to be served: to be called after [`complete`](crate::complete()).
pub fn validate(
    config: &ModelConfig,
    spans: Option<&Spans>,
    origin: &str,
    model_name: &str,
) -> Result<(), Faults> {
    let mut check = Check::new(config, spans, origin, model_name, true);
    check.all();
    check.faults.into_result(())
}

/// All rules but those that say which facts must be there, because the model file may still add them.
pub fn validate_incomplete(
    config: &ModelConfig,
    spans: Option<&Spans>,
    origin: &str,
    model_name: &str,
) -> Result<(), Faults> {
    let mut check = Check::new(config, spans, origin, model_name, false);
    check.all();
    check.faults.into_result(())
}

/// Whether the instance groups can be placed on this machine: to be called after
/// [`apply_defaults`](crate::apply_defaults) with the same facts.
pub fn validate_placement(
    config: &ModelConfig,
    spans: Option<&Spans>,
    origin: &str,
    facts: &DefaultFacts,
) -> Result<(), Faults> {
    let mut check = Check::new(config, spans, origin, &config.name, true);
    check.placement(facts);
    check.faults.into_result(())
}

/// One look at one config. The rules are methods in the files of this folder.
struct Check<'a> {
    config: &'a ModelConfig,
    spans: Option<&'a Spans>,
    /// Name of the model's directory.
    name: &'a str,
    /// Whether the model file has been asked for what the config leaves open.
    complete: bool,
    faults: Faults,
}

impl<'a> Check<'a> {
    fn new(
        config: &'a ModelConfig,
        spans: Option<&'a Spans>,
        origin: &str,
        name: &'a str,
        complete: bool,
    ) -> Self {
        Check { config, spans, name, complete, faults: Faults::new(origin) }
    }

    fn all(&mut self) {
        self.identity();
        self.tensors();
        self.batch_tensors();
        self.scheduling();
        self.fan_outs();
        self.response_cache();
        self.instance_groups();
        self.warmup();
        self.metrics();
        self.agents();
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.fault_of(FaultKind::Other, path, message);
    }

    fn fault_of(&mut self, kind: FaultKind, path: &str, message: impl Into<String>) {
        let position = self.spans.and_then(|spans| spans.position(path));
        self.faults.push_kind(position, path, message, kind);
    }

    /// A fault whose text ends with the model's name, as most of Triton's do.
    fn fault_for(&mut self, path: &str, message: &str) {
        self.fault(path, format!("{message} for {}", self.name));
    }
}
