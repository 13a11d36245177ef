//! Determines which steps run for the requested outputs, and which outputs each step is asked for, in which memory.

use hippocamp_backend::WantedOutputs;
use hippocamp_tensor::Place;
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
        let mut needed: Needed = smallvec![None; tensors];
        for (index, &tensor) in outputs.iter().enumerate() {
            if let Some(place) = wanted.place(index) {
                answers[tensor] = true;
                need(&mut needed[tensor], place);
            }
        }
        let mut plan: SmallVec<[Option<WantedOutputs>; 8]> = smallvec![None; steps.len()];
        for (step, asked) in steps.iter().zip(&mut plan).rev() {
            *asked = asked_for(step, &needed);
            if asked.is_some() {
                for (tensor, place) in step.inputs.iter().zip(&step.input_places) {
                    if let Some(tensor) = tensor {
                        need(&mut needed[*tensor], *place);
                    }
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

/// Where each tensor is wanted; `None` if it is not.
type Needed = SmallVec<[Option<Place>; 16]>;

/// Adds a consumer of a tensor that wants it at `place`. Where several want it at different places, a device comes first: what
/// was made there stays there, and the others fetch it.
fn need(tensor: &mut Option<Place>, place: Place) {
    let rank = |place: Place| match place {
        Place::Host => 0,
        Place::Pinned => 1,
        Place::Device(_) => 2,
    };
    match tensor {
        Some(before) if rank(*before) >= rank(place) => {}
        _ => *tensor = Some(place),
    }
}

fn asked_for(step: &Step, needed: &[Option<Place>]) -> Option<WantedOutputs> {
    let places = step.outputs.iter().map(|output| output.and_then(|tensor| needed[tensor]));
    // The outputs of rows are gathered in host memory.
    let places = places.map(|place| if step.fan_out.is_some() { place.map(|_| Place::Host) } else { place });
    if places.clone().all(|place| place.is_none()) {
        return None;
    }
    if places.clone().all(|place| place == Some(Place::Host)) {
        return Some(WantedOutputs::ALL);
    }
    let mut wanted = WantedOutputs::none_of(step.outputs.len());
    for (index, place) in places.enumerate() {
        if let Some(place) = place {
            wanted.add_at(index, place);
        }
    }
    Some(wanted)
}
