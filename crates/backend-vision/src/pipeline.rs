//! `pipeline.toml`, read, checked and bound.

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
    /// Every value, by its slot: first come first.
    pub(crate) values: Vec<Named>,
    /// What the model takes, in the order of its first use or as the file lists it.
    pub(crate) inputs: Vec<Slot>,
    /// What the model gives if its config does not choose: what the file lists, or all values that no step reads.
    pub(crate) outputs: Vec<Slot>,
}

/// A value's name and kind.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A step in its place.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) op: &'static str,
    pub(crate) step: Box<dyn Step>,
    pub(crate) reads: Vec<Slot>,
    pub(crate) writes: Vec<Slot>,
}

impl Pipeline {
    /// Reads the text of a pipeline. The faults name `origin`, each with its line.
    pub(crate) fn read(origin: &str, text: &str) -> Result<Pipeline, Faults> {
        read::read(origin, text, &[])
    }

    /// The same of a pipeline that may name files, which lie in these folders.
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

    /// For each step whether these values depend on it.
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
