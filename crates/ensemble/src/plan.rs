//! Determines which steps run for the requested outputs, and which outputs each step is asked for.

use hippocamp_backend::WantedOutputs;
use smallvec::{SmallVec, smallvec};

use crate::graph::Step;

#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The outputs that each step is asked for; `None` if it does not run.
    steps: SmallVec<[Option<WantedOutputs>; 8]>,
    /// Whether each tensor is part of the response.
    answers: SmallVec<[bool; 16]>,
}

impl Plan {
    /// Goes from the requested outputs backwards through their producers.
    pub(crate) fn new(steps: &[Step], tensors: usize, outputs: &[usize], wanted: &WantedOutputs) -> Plan {
        let mut answers: SmallVec<[bool; 16]> = smallvec![false; tensors];
        for (index, &tensor) in outputs.iter().enumerate() {
            answers[tensor] |= wanted.contains(index);
        }
        let mut needed = answers.clone();
        let mut plan: SmallVec<[Option<WantedOutputs>; 8]> = smallvec![None; steps.len()];
        for (step, asked) in steps.iter().zip(&mut plan).rev() {
            *asked = asked_for(step, &needed);
            if asked.is_some() {
                for &tensor in step.inputs.iter().flatten() {
                    needed[tensor] = true;
                }
            }
        }
        Plan { steps: plan, answers }
    }

    /// The outputs that the step is asked for; `None` if it does not run.
    pub(crate) fn asked_of(&self, step: usize) -> Option<&WantedOutputs> {
        self.steps.get(step)?.as_ref()
    }

    pub(crate) fn runs(&self, step: usize) -> bool {
        self.asked_of(step).is_some()
    }

    /// Whether the tensor is part of the client's response.
    pub(crate) fn answers(&self, tensor: usize) -> bool {
        self.answers.get(tensor).copied().unwrap_or(false)
    }
}

fn asked_for(step: &Step, needed: &[bool]) -> Option<WantedOutputs> {
    let is_needed = |output: &Option<usize>| output.is_some_and(|tensor| needed[tensor]);
    let count = step.outputs.iter().filter(|output| is_needed(output)).count();
    if count == 0 {
        return None;
    }
    if count == step.outputs.len() {
        return Some(WantedOutputs::ALL);
    }
    let mut wanted = WantedOutputs::none_of(step.outputs.len());
    for (index, _) in step.outputs.iter().enumerate().filter(|(_, output)| is_needed(output)) {
        wanted.add(index);
    }
    Some(wanted)
}
