//! Parses, checks and binds a `pipeline.toml`.

mod ports;
mod read;
#[cfg(test)]
mod tests;

use std::path::Path;

use hippocamp_model_config::Faults;

use crate::step::Step;
use crate::value::{Kind, Slot};

pub(crate) use ports::Ports;
pub(crate) use read::{Table, parameters};

/// The steps of a model, and the values that they work on.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) steps: Vec<Bound>,
    /// Every value by its slot, in the order of first use.
    pub(crate) values: Vec<Named>,
    /// The model's inputs, in the order of first use or as the file lists them.
    pub(crate) inputs: Vec<Slot>,
    /// The outputs if the config does not name them: those that the file lists, or all values that no step reads.
    pub(crate) outputs: Vec<Slot>,
}

/// A value's name and kind.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A step whose names are bound to slots.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) op: &'static str,
    pub(crate) step: Box<dyn Step>,
    pub(crate) reads: Vec<Slot>,
    pub(crate) writes: Vec<Slot>,
}

impl Pipeline {
    /// Parses a pipeline. Faults have the name `origin` and their lines.
    pub(crate) fn read(origin: &str, text: &str) -> Result<Pipeline, Faults> {
        read::read(origin, text, &[])
    }

    /// Parses a pipeline that may name files, which are looked for in `folders`.
    pub(crate) fn read_beside(folders: &[&Path], origin: &str, text: &str) -> Result<Pipeline, Faults> {
        read::read(origin, text, folders)
    }

    pub(crate) fn value(&self, slot: Slot) -> Option<&Named> {
        self.values.get(slot.0)
    }

    /// The slot of a value that a step writes.
    pub(crate) fn written(&self, name: &str) -> Option<Slot> {
        let slot = self.values.iter().position(|value| value.name == name).map(Slot)?;
        let leaves = !matches!(self.value(slot)?.kind, Kind::Detections(_));
        (leaves && !self.inputs.contains(&slot)).then_some(slot)
    }

    /// For each step, whether one of these values depends on it.
    pub(crate) fn needed_for(&self, wanted: &[Slot]) -> Vec<bool> {
        let mut wanted = wanted.to_vec();
        let mut needed = vec![false; self.steps.len()];
        for (step, needed) in self.steps.iter().zip(&mut needed).rev() {
            *needed = step.writes.iter().any(|slot| wanted.contains(slot));
            if *needed {
                wanted.extend(&step.reads);
            }
        }
        needed
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Bound { op, reads, writes, .. } = self;
        write!(f, "{op} {reads:?} -> {writes:?}")
    }
}
