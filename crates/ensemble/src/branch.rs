//! A branch: the tensors of a stage for one response of a decoupled step (or for the request itself), and the steps
//! that they make ready.

use hippocamp_backend::{InputTensor, OutputTensor, Parameters, Response, Sequence};
use hippocamp_batching::client_shape;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::boundary::Value;
use crate::fan_out::{Rowed, StepFanOut};
use crate::graph::{Graph, Step};
use crate::meta::{self, Meta, MetaList};
use crate::plan::Plan;

/// What all branches of a request share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) plan: &'a Plan,
    /// The parameters of the client's request.
    pub(crate) parameters: &'a Parameters,
    pub(crate) sequence: Option<&'a Sequence>,
}

#[derive(Debug)]
pub(crate) struct Branch {
    /// The meta of the steps that the branch depends on, in step order.
    inherited: MetaList,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The tensors of the stage.
    slots: SmallVec<[Slot; 8]>,
    /// The number of missing inputs of each step of the stage.
    waiting: SmallVec<[usize; 8]>,
    /// The meta of the stage's steps so far, in step order.
    said: MetaList,
    /// The number of missing tensors of the client's response.
    unanswered: usize,
}

#[derive(Debug, Default)]
struct Slot {
    content: Content,
    /// The number of consumers left. The last one takes the tensor, so that its memory can be released after that.
    uses: usize,
}

#[derive(Debug, Default)]
enum Content {
    #[default]
    Open,
    /// An optional input that the client left out, or an output that is missing in a step's response.
    Absent,
    Given(Value),
}

/// A step that is ready, and its inputs.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) step: usize,
    pub(crate) inputs: SmallVec<[Option<InputTensor>; 4]>,
    pub(crate) parameters: Parameters,
    pub(crate) sequence: Option<Sequence>,
    /// What a fanned-out step takes row by row; `None` for a step that runs once.
    pub(crate) rowed: Option<Rowed>,
}

/// What new tensors make ready.
#[derive(Debug, Default)]
pub(crate) struct Advance {
    pub(crate) ready: SmallVec<[Start; 2]>,
    /// The response for the client, if it is complete now.
    pub(crate) response: Option<Response>,
}

impl Branch {
    pub(crate) fn new(shared: &Shared<'_>, stage: usize, inherited: MetaList) -> Branch {
        let Shared { graph, plan, .. } = *shared;
        let tensors = graph.stages[stage].tensors.iter();
        let slots: SmallVec<[Slot; 8]> = tensors
            .map(|&index| {
                let readers = graph.tensors[index].consumers.iter().filter(|&&step| plan.runs(step)).count();
                Slot { content: Content::Open, uses: readers + usize::from(plan.answers(index)) }
            })
            .collect();
        let steps = graph.stages[stage].steps.iter();
        let waiting = steps.map(|&step| graph.steps[step].inputs.iter().flatten().count()).collect();
        let unanswered = graph.stages[stage].tensors.iter().filter(|&&tensor| plan.answers(tensor)).count();
        let open = State { slots, waiting, said: MetaList::new(), unanswered };
        Branch { inherited, state: Mutex::new(open) }
    }

    /// The meta inherited by a branch that begins with a response of `step`; `last` is the meta of that response.
    pub(crate) fn inheritance(&self, step: &Step, last: Option<Meta>) -> MetaList {
        let state = self.state.lock();
        let is_upstream = |meta: &&Meta| step.upstream.contains(&meta.step);
        let said = self.inherited.iter().chain(state.said.iter().filter(is_upstream));
        said.cloned().chain(last).collect()
    }

    /// Adds tensors (`None` for an absent one) and the meta of the step that produced them.
    pub(crate) fn advance(
        &self,
        shared: &Shared<'_>,
        tensors: impl Iterator<Item = (usize, Option<Value>)>,
        said: Option<Meta>,
    ) -> Advance {
        let Shared { graph, plan, .. } = *shared;
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(meta) = said {
            let place = state.said.partition_point(|earlier| earlier.step < meta.step);
            state.said.insert(place, meta);
        }
        let before = state.unanswered;
        let mut steps: SmallVec<[usize; 4]> = SmallVec::new();
        for (index, value) in tensors {
            let tensor = &graph.tensors[index];
            let slot = &mut state.slots[tensor.slot];
            if !matches!(slot.content, Content::Open) {
                continue;
            }
            slot.content = match value {
                Some(value) if slot.uses > 0 => Content::Given(value),
                _ => Content::Absent,
            };
            state.unanswered -= usize::from(plan.answers(index));
            for &step in tensor.consumers.iter().filter(|&&step| plan.runs(step)) {
                let waiting = &mut state.waiting[graph.steps[step].slot];
                *waiting -= 1;
                if *waiting == 0 {
                    steps.push(step);
                }
            }
        }
        let ready = steps.into_iter().map(|step| self.start(shared, state, step)).collect();
        let is_complete = before > 0 && state.unanswered == 0;
        let response = is_complete.then(|| self.response(shared, state));
        Advance { ready, response }
    }

    fn start(&self, shared: &Shared<'_>, state: &mut State, index: usize) -> Start {
        let step = &shared.graph.steps[index];
        let interface = step.model.interface();
        let batches = interface.max_batch_size > 0;
        let mut rowed = step.fan_out.as_ref().map(|_| Rowed::default());
        let inputs = step.inputs.iter().zip(&interface.inputs).enumerate().map(|(input, (tensor, spec))| {
            let value = state.take(shared.graph.tensors[(*tensor)?].slot)?;
            if let (Some(rowed), Some(fan_out)) = (&mut rowed, &step.fan_out)
                && fan_out.cuts[input].is_some()
            {
                rowed.values.push((input, value));
                return None;
            }
            Some(InputTensor { shape: value.shape_for(&spec.dims, batches), data: value.data })
        });
        let inputs = inputs.collect();
        let is_upstream = |meta: &&Meta| step.upstream.contains(&meta.step);
        let said = self.inherited.iter().chain(state.said.iter().filter(is_upstream));
        if let (Some(rowed), Some(StepFanOut { aligned, .. })) = (&mut rowed, &step.fan_out)
            && let Some(rows) = said.clone().filter(|meta| aligned.contains(&meta.step)).find_map(Meta::rows)
        {
            let of_row = |row| meta::behind_row(said.clone(), aligned, row, shared.parameters);
            rowed.parameters = Some((0..rows).map(of_row).collect());
        }
        let (parameters, sequence) = meta::behind(said, shared.parameters, shared.sequence);
        Start { step: index, inputs, parameters, sequence, rowed }
    }

    fn response(&self, shared: &Shared<'_>, state: &mut State) -> Response {
        let Shared { graph, plan, .. } = *shared;
        let batches = graph.interface.max_batch_size > 0;
        let mut response = Response::default();
        // Triton stores the outputs of an ensemble in a table that yields the last one first, and clients rely on that
        // order.
        for (index, (&tensor, spec)) in graph.outputs.iter().zip(&graph.interface.outputs).enumerate().rev() {
            if !plan.answers(tensor) {
                continue;
            }
            if let Some(value) = state.take(graph.tensors[tensor].slot) {
                let shape = value.shape_for(spec.reshape.as_ref().unwrap_or(&spec.dims), batches);
                let shape = client_shape(spec, shape, batches);
                response.outputs.push(OutputTensor { index, shape, data: value.data, data_type: None });
            }
        }
        let said = self.inherited.iter().chain(&state.said);
        response.parameters = meta::of_response(said, shared.sequence);
        response
    }
}

impl State {
    /// Takes the tensor for one consumer. The last one gets the only reference.
    fn take(&mut self, slot: usize) -> Option<Value> {
        let slot = &mut self.slots[slot];
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses > 0 {
            return match &slot.content {
                Content::Given(value) => Some(value.clone()),
                Content::Open | Content::Absent => None,
            };
        }
        match std::mem::replace(&mut slot.content, Content::Absent) {
            Content::Given(value) => Some(value),
            Content::Open | Content::Absent => None,
        }
    }
}
