//! The run of one fanned-out step: its rows' requests, some at a time.

use std::sync::Arc;

use hippocamp_backend::{Error, Event, InputTensor, Parameters, Response, ResponseSink, Result, Sequence};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::gather::{Gather, Row};
use super::rows::Rows;
use crate::boundary::Value;
use crate::branch::{Branch, Start};
use crate::meta::Meta;
use crate::run::{Outgoing, Run};

/// What a fanned-out step takes row by row.
#[derive(Debug, Default)]
pub(crate) struct Rowed {
    /// By the index of the input.
    pub(crate) values: SmallVec<[(usize, Value); 2]>,
    /// The parameters of each row's request, if a step before said something about each row.
    pub(crate) parameters: Option<Vec<Parameters>>,
}

/// The rows of one request, of which each is a request to the step's model.
#[derive(Debug)]
pub(crate) struct Items {
    run: Arc<Run>,
    branch: Arc<Branch>,
    step: usize,
    total: usize,
    max_inflight: usize,
    sequence: Option<Sequence>,
    parameters: Parameters,
    of_rows: Option<Vec<Parameters>>,
    state: Mutex<State>,
}

/// The step's outputs, each with the index of its tensor in the ensemble, and what its rows said.
type Gathered = (SmallVec<[(usize, Option<Value>); 8]>, Option<Meta>);

#[derive(Debug)]
struct State {
    /// The inputs that all rows have in common; `None` where a row has its own.
    shared: SmallVec<[Option<InputTensor>; 4]>,
    rows: SmallVec<[(usize, Rows); 2]>,
    /// The number of rows that were queued, or are just being queued.
    queued: usize,
    in_flight: usize,
    /// Whether a thread is queuing rows. It sees what others change meanwhile, so that no two do, and an answer that comes while
    /// its row is being queued does not queue the next one within.
    is_queuing: bool,
    has_ended: bool,
    answers: Vec<Option<Response>>,
}

impl Items {
    /// Queues the first rows. The step's last event follows, whatever happens.
    pub(crate) fn start(run: &Arc<Run>, branch: &Arc<Branch>, start: Start) {
        let step = start.step;
        match Items::new(run, branch, start) {
            Ok(items) => items.queue(),
            Err(error) => {
                run.fail(error);
                run.leave_limit(step);
                run.step_done();
            }
        }
    }

    fn new(run: &Arc<Run>, branch: &Arc<Branch>, start: Start) -> Result<Arc<Items>> {
        let Start { step, inputs, parameters, sequence, rowed } = start;
        let (graph_step, fan_out) = run.fanned_out(step)?;
        let interface = graph_step.model.interface();
        let batches = interface.max_batch_size > 0;
        let Rowed { values, parameters: of_rows } = rowed.unwrap_or_default();
        let mut rows: SmallVec<[(usize, Rows); 2]> = SmallVec::new();
        let wrong = |error: Error| {
            let text = format!("fan-out over '{}': {}", fan_out.over, error.message());
            error.with_message(text)
        };
        for (input, value) in values {
            let (Some(cut), Some(spec)) = (fan_out.cuts[input], interface.inputs.get(input)) else {
                continue;
            };
            rows.push((input, Rows::new(value, cut, spec, batches).map_err(wrong)?));
        }
        let refused = |text: String| Err(wrong(Error::invalid_arg(text)));
        let Some(total) = rows.first().map(|(_, rows)| rows.count) else {
            return refused("none of its tensors is there".to_owned());
        };
        if let Some((input, other)) = rows.iter().find(|(_, rows)| rows.count != total) {
            let name = |input: usize| &interface.inputs[input].name;
            return refused(format!(
                "expected as many rows in each, got {total} for input '{}' and {} for input '{}' of model '{}'",
                name(rows[0].0),
                other.count,
                name(*input),
                graph_step.model.name()
            ));
        }
        if total > fan_out.max_items {
            let (max, model) = (fan_out.max_items, graph_step.model.name());
            return refused(format!("expected at most {max} items (fan_out.{model}.max_items), got {total}"));
        }
        let mut answers = Vec::new();
        answers
            .try_reserve_exact(total)
            .map_err(|_| wrong(Error::unavailable(format!("there is no memory for {total} items"))))?;
        answers.resize_with(total, || None);
        let (queued, in_flight, is_queuing, has_ended) = (0, 0, false, false);
        let state = State { shared: inputs, rows, queued, in_flight, is_queuing, has_ended, answers };
        let max_inflight = fan_out.max_inflight;
        let (run, branch, state) = (Arc::clone(run), Arc::clone(branch), Mutex::new(state));
        Ok(Arc::new(Items { run, branch, step, total, max_inflight, sequence, parameters, of_rows, state }))
    }

    /// Queues rows while there are some and few enough are in flight. Ends the step after the last one.
    fn queue(self: Arc<Items>) {
        loop {
            let goes_on = !self.run.is_cancelled();
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.is_queuing, true) {
                return;
            }
            if goes_on && state.queued < self.total && state.in_flight < self.max_inflight {
                let (at, inputs) = state.next_row();
                drop(state);
                if let Err(error) = self.queue_row(at, inputs) {
                    self.failed(at, error);
                    self.state.lock().in_flight -= 1;
                }
                self.state.lock().is_queuing = false;
                continue;
            }
            state.is_queuing = false;
            let is_over = state.in_flight == 0 && !std::mem::replace(&mut state.has_ended, true);
            let answers = if is_over { std::mem::take(&mut state.answers) } else { Vec::new() };
            drop(state);
            if is_over {
                self.end(answers);
            }
            return;
        }
    }

    fn queue_row(self: &Arc<Items>, at: usize, inputs: SmallVec<[Option<InputTensor>; 4]>) -> Result<bool> {
        let parameters =
            self.of_rows.as_ref().and_then(|rows| rows.get(at)).unwrap_or(&self.parameters).clone();
        let sink = |_| Box::new(ItemSink { items: Arc::clone(self), at }) as Box<dyn ResponseSink>;
        let outgoing = Outgoing { step: self.step, inputs, parameters, sequence: self.sequence.clone() };
        Run::send(&self.run, outgoing, sink)
    }

    fn answered(&self, at: usize, response: Response) {
        if let Some(answer) = self.state.lock().answers.get_mut(at) {
            *answer = Some(response);
        }
    }

    /// An error if an output has another type than the config promises to the next model, or the client.
    fn of_expected_types(&self, response: &Response) -> Result<()> {
        let (step, _) = self.run.fanned_out(self.step)?;
        let interface = step.model.interface();
        response.outputs.iter().try_for_each(|output| match interface.outputs.get(output.index) {
            Some(spec) => output.of_expected_type(&interface.model, &spec.name, spec.data_type),
            None => Ok(()),
        })
    }

    #[cold]
    fn failed(&self, at: usize, error: Error) {
        let Ok((step, fan_out)) = self.run.fanned_out(self.step) else { return };
        let (item, total, over, model) = (at + 1, self.total, &fan_out.over, step.model.name());
        let text = format!("item {item} of {total} of '{over}' (model '{model}'): {}", error.message());
        self.run.fail(error.with_message(text));
    }

    /// The step's last event: what is behind it gets the rows' outputs, or the run ends.
    fn end(&self, answers: Vec<Option<Response>>) {
        let mut all = Vec::with_capacity(answers.len());
        all.extend(answers.into_iter().flatten());
        if all.len() == self.total {
            match self.gather(all) {
                Ok((tensors, meta)) => Run::advance_by(&self.run, &self.branch, tensors, meta),
                Err(error) => self.run.fail(error),
            }
        } else if self.run.is_cancelled() {
            self.run.cancel();
        }
        self.run.leave_limit(self.step);
        self.run.step_done();
    }

    /// Puts the rows' outputs together, each with the index of its tensor in the ensemble.
    fn gather(&self, answers: Vec<Response>) -> Result<Gathered> {
        let (step, fan_out) = self.run.fanned_out(self.step)?;
        let interface = step.model.interface();
        let mut columns: Vec<Vec<Option<Row>>> = Vec::new();
        columns.resize_with(step.outputs.len(), || vec![None; self.total]);
        let mut said = Vec::with_capacity(self.total);
        for (at, Response { outputs, parameters }) in answers.into_iter().enumerate() {
            said.push(parameters);
            for output in outputs {
                if let Some(row) = columns.get_mut(output.index).and_then(|column| column.get_mut(at)) {
                    *row = Some((output.shape, output.data));
                }
            }
        }
        let asked = self.run.asked_of(self.step);
        let mut tensors = SmallVec::new();
        for (index, column) in columns.into_iter().enumerate() {
            let Some(tensor) = step.outputs[index] else { continue };
            let (Some(spec), true) = (interface.outputs.get(index), asked.contains(index)) else {
                tensors.push((tensor, None));
                continue;
            };
            let mut rows = Vec::with_capacity(self.total);
            rows.extend(column.into_iter().flatten());
            if rows.len() != self.total && !rows.is_empty() {
                let (some, name, model) = (rows.len(), &spec.name, step.model.name());
                return Err(Error::invalid_arg(format!(
                    "fan-out over '{}': model '{model}' gave output '{name}' for {some} of {} items",
                    fan_out.over, self.total
                )));
            }
            // An output that no row has is missing, as it is in the response of a step that runs once.
            let value = if self.total > 0 && rows.is_empty() {
                None
            } else {
                let (batches, joins) = (interface.max_batch_size > 0, fan_out.joins[index]);
                let gather = Gather { spec, batches, joins, pads: fan_out.pads };
                let gathered = gather.run(rows).map_err(|error| {
                    let (over, model) = (&fan_out.over, step.model.name());
                    let text = format!("fan-out over '{over}', model '{model}': {}", error.message());
                    error.with_message(text)
                });
                Some(gathered?)
            };
            tensors.push((tensor, value));
        }
        Ok((tensors, Meta::of_rows(self.step, said)?))
    }
}

impl State {
    /// Takes the inputs of the next row.
    fn next_row(&mut self) -> (usize, SmallVec<[Option<InputTensor>; 4]>) {
        let mut inputs = self.shared.clone();
        for (input, rows) in &mut self.rows {
            inputs[*input] = Some(rows.take());
        }
        self.queued += 1;
        self.in_flight += 1;
        (self.queued - 1, inputs)
    }
}

/// Receives the response of a row.
#[derive(Debug)]
struct ItemSink {
    items: Arc<Items>,
    at: usize,
}

impl ResponseSink for ItemSink {
    fn deliver(&mut self, event: Event) {
        let is_last = event.is_last();
        match event {
            Event::Response { response, .. } => match self.items.of_expected_types(&response) {
                Ok(()) => self.items.answered(self.at, response),
                Err(error) => self.items.failed(self.at, error),
            },
            Event::Failed(error) | Event::ResponseFailed(error) => self.items.failed(self.at, error),
            Event::End => {}
        }
        if is_last {
            self.items.state.lock().in_flight -= 1;
            Arc::clone(&self.items).queue();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.items.run.is_cancelled()
    }
}
