//! The run of one request through an ensemble.
//!
//! It has no task and no thread: each event of a step is processed by the thread that delivers it. Locks are held to
//! move tensors, never while requests are queued or checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{
    Delivery, Error, ExecutionTimes, FailureReason, InputTensor, Outlet, Parameters, ParentRequest, Request,
    RequestContext, Response, ResponseSender, ResponseSink, Result, Sequence, WantedOutputs,
};
use hippocamp_batching::model_shape;
use smallvec::SmallVec;
use tracing::warn;

use crate::boundary::Value;
use crate::branch::{Advance, Branch, Shared, Start};
use crate::fan_out::{Items, StepFanOut};
use crate::graph::{Graph, ROOT, Step};
use crate::limit::Entry;
use crate::meta::{Meta, MetaList};
use crate::plan::Plan;
use crate::shared_sender::SharedSender;
use crate::sink::StepSink;
use crate::times::PhaseSums;

#[derive(Debug)]
pub(crate) struct Run {
    graph: Arc<Graph>,
    plan: Arc<Plan>,
    client: Client,
    started: Instant,
    phases: PhaseSums,
    /// The number of unanswered requests of steps, plus one while the first steps are being queued.
    in_flight: AtomicUsize,
    /// Whether a step has failed. Nothing more is started then, and running steps are not waited for.
    failed: AtomicBool,
    out: SharedSender,
}

/// The parts of the client's request that every step gets.
#[derive(Debug)]
struct Client {
    context: RequestContext,
    parameters: Parameters,
    priority: u64,
    timeout: Option<Duration>,
    sequence: Option<Sequence>,
    batch_size: usize,
    queued: Instant,
}

/// The request of a step, but for where its responses go.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) step: usize,
    pub(crate) inputs: SmallVec<[Option<InputTensor>; 4]>,
    pub(crate) parameters: Parameters,
    pub(crate) sequence: Option<Sequence>,
}

impl Run {
    /// Queues the first steps.
    pub(crate) fn start(graph: &Arc<Graph>, mut request: Request) {
        let started = Instant::now();
        request.report_queued();
        request.report_started(started);
        let context = request.context().clone();
        let Request { inputs, outputs, parameters, .. } = request;
        let Request { batch_size, priority, timeout, sequence, queued, response, .. } = request;
        let run = Arc::new(Run {
            graph: Arc::clone(graph),
            plan: graph.plan(&outputs),
            client: Client { context, parameters, priority, timeout, sequence, batch_size, queued },
            started,
            phases: PhaseSums::default(),
            in_flight: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            out: SharedSender::new(response),
        });
        let batches = graph.interface.max_batch_size > 0;
        let given = graph.interface.inputs.iter().zip(inputs).zip(&graph.inputs);
        let tensors = given.map(|((spec, input), &tensor)| {
            let value = input.map(|input| Value {
                shape: model_shape(spec, input.shape, batches),
                data: input.data,
                batch_size: batches.then_some(batch_size),
            });
            (tensor, value)
        });
        let shared = run.shared();
        let branch = Arc::new(Branch::new(&shared, ROOT, MetaList::new()));
        let advance = branch.advance(&shared, tensors, None);
        Run::follow(&run, &branch, advance);
        run.step_done();
    }

    fn shared(&self) -> Shared<'_> {
        Shared {
            graph: &self.graph,
            plan: &self.plan,
            parameters: &self.client.parameters,
            sequence: self.client.sequence.as_ref(),
        }
    }

    /// Processes a response of a step.
    pub(crate) fn advance(run: &Arc<Run>, from: &StepSink, response: Response) {
        if run.failed.load(Ordering::Acquire) {
            return;
        }
        let Response { outputs, parameters } = response;
        let meta = match Meta::of(from.step, parameters) {
            Ok(meta) => meta,
            Err(error) => return run.fail(error),
        };
        let step = &run.graph.steps[from.step];
        let mut values: SmallVec<[Option<Value>; 8]> = SmallVec::from_elem(None, step.outputs.len());
        for output in outputs {
            if let Some(place) = values.get_mut(output.index) {
                let interface = step.model.interface();
                if let Some(spec) = interface.outputs.get(output.index)
                    && let Err(error) = output.of_expected_type(&interface.model, &spec.name, spec.data_type)
                {
                    // The next model, or the client, is promised the type of the config.
                    return run.fail(error);
                }
                let (shape, data) = (output.shape, output.data);
                *place = Some(Value { shape, data, batch_size: from.batch_size });
            }
        }
        let tensors = step.outputs.iter().zip(values);
        let tensors = tensors.filter_map(|(tensor, value)| Some(((*tensor)?, value)));
        let shared = run.shared();
        if step.opens_branches() {
            let inherited = from.branch.inheritance(step, meta);
            let branch = Arc::new(Branch::new(&shared, step.feeds, inherited));
            let advance = branch.advance(&shared, tensors, None);
            Run::follow(run, &branch, advance);
        } else {
            let advance = from.branch.advance(&shared, tensors, meta);
            Run::follow(run, &from.branch, advance);
        }
    }

    /// Processes what a fanned-out step has made of all its rows.
    pub(crate) fn advance_by(
        run: &Arc<Run>,
        branch: &Arc<Branch>,
        tensors: impl IntoIterator<Item = (usize, Option<Value>)>,
        meta: Option<Meta>,
    ) {
        let advance = branch.advance(&run.shared(), tensors.into_iter(), meta);
        Run::follow(run, branch, advance);
    }

    /// Queues the steps that are ready, and sends the response if it is complete.
    fn follow(run: &Arc<Run>, branch: &Arc<Branch>, advance: Advance) {
        let Advance { ready, response } = advance;
        if let Some(response) = response {
            run.respond(response);
        }
        // All are counted before the first is queued, which may finish before the next one is queued.
        run.in_flight.fetch_add(ready.len(), Ordering::AcqRel);
        for start in ready {
            if !Run::queue(run, branch, start) {
                run.step_done();
            }
        }
    }

    /// Queues a step that is ready. False if the run has ended, so that the step will not be answered.
    fn queue(run: &Arc<Run>, branch: &Arc<Branch>, start: Start) -> bool {
        let index = start.step;
        if run.is_cancelled() {
            run.cancel();
            return false;
        }
        if start.rowed.is_some() {
            if !run.enter_limit(index) {
                run.cancel();
                return false;
            }
            Items::start(run, branch, start);
            return true;
        }
        let Start { step, inputs, parameters, sequence, .. } = start;
        let sink = |batch_size| {
            let (run, branch) = (Arc::clone(run), Arc::clone(branch));
            Box::new(StepSink { run, branch, step, batch_size }) as Box<dyn ResponseSink>
        };
        match Run::send(run, Outgoing { step, inputs, parameters, sequence }, sink) {
            Ok(is_sent) => is_sent,
            Err(error) => {
                run.fail(error);
                false
            }
        }
    }

    /// Queues a request of a step, whose responses go to `sink`, made of the batch size if the step's model batches. False if the
    /// run has ended meanwhile. An error if the inputs are not what the model takes.
    pub(crate) fn send(
        run: &Arc<Run>,
        outgoing: Outgoing,
        sink: impl FnOnce(Option<usize>) -> Box<dyn ResponseSink>,
    ) -> Result<bool> {
        let Outgoing { step: index, inputs, parameters, sequence } = outgoing;
        let step = &run.graph.steps[index];
        let arrived = Instant::now();
        let batch_size = step.model.check(&run.client.context.id, &inputs)?;
        // A fan-out has entered the limit before its first row.
        if step.fan_out.is_none() && !run.enter_limit(index) {
            run.cancel();
            return Ok(false);
        }
        let interface = step.model.interface();
        let delivery = if interface.decoupled { Delivery::Many } else { Delivery::Once };
        let batch = (interface.max_batch_size > 0).then_some(batch_size);
        let outlet = Outlet::to_sink(delivery, sink(batch));
        let context = RequestContext {
            batch_size: u32::try_from(batch_size).unwrap_or(0),
            ..RequestContext::of_step(Arc::clone(run) as Arc<dyn ParentRequest>, arrived)
        };
        let response = ResponseSender::new(outlet, context, Arc::clone(step.model.observers()));
        step.model.enqueue(Request {
            inputs,
            outputs: run.asked_of(index).clone(),
            parameters,
            batch_size,
            priority: run.client.priority,
            timeout: run.client.timeout,
            sequence,
            queued: if step.limit.is_some() { Instant::now() } else { arrived },
            response,
        });
        Ok(true)
    }

    /// The step and how it is fanned out. An error if it is not, which the caller knows.
    pub(crate) fn fanned_out(&self, index: usize) -> Result<(&Step, &StepFanOut)> {
        let step = &self.graph.steps[index];
        let fan_out = step.fan_out.as_ref().ok_or_else(|| Error::internal("the step is not fanned out"))?;
        Ok((step, fan_out))
    }

    /// The outputs that the step is asked for.
    pub(crate) fn asked_of(&self, index: usize) -> &WantedOutputs {
        self.plan.asked_of(index).unwrap_or(&WantedOutputs::ALL)
    }

    /// Waits until the step may have another request in flight. False if nobody waits for the response any more.
    fn enter_limit(&self, index: usize) -> bool {
        let Some(limit) = &self.graph.steps[index].limit else { return true };
        match limit.enter(|| self.is_cancelled()) {
            Entry::Free => true,
            Entry::Cancelled => false,
            Entry::Forced => {
                let (ensemble, model) = (&*self.graph.name, self.graph.steps[index].model.name());
                warn!(
                    ensemble,
                    model, "max_inflight_requests is exceeded: none of its requests made progress"
                );
                true
            }
        }
    }

    pub(crate) fn leave_limit(&self, index: usize) {
        if let Some(limit) = &self.graph.steps[index].limit {
            limit.leave();
        }
    }

    /// To be called after the last event of a step's request, when all steps that it made ready are queued.
    pub(crate) fn step_done(&self) {
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) > 1 || self.failed.load(Ordering::Acquire) {
            return;
        }
        let Some(sender) = self.out.close() else { return };
        if self.graph.interface.decoupled {
            let times = self.executed(&sender);
            sender.finish(self.client.queued, &times);
            return;
        }
        let id = self.client.context.shown_id();
        let error = Error::invalid_arg(format!(
            "in ensemble '{}', [request id: {id}] unexpected deadlock, at least one output is not set while no more \
             ensemble steps can be made",
            self.graph.name
        ));
        sender.fail(error, FailureReason::Other);
    }

    /// Sends a response of the ensemble.
    fn respond(&self, response: Response) {
        if self.graph.interface.decoupled {
            self.out.send(response);
        } else if let Some(sender) = self.out.close() {
            let times = self.executed(&sender);
            sender.succeed(response, self.client.queued, &times);
        }
    }

    /// Counts an execution of the ensemble.
    fn executed(&self, sender: &ResponseSender) -> ExecutionTimes {
        let times = self.phases.since(self.started);
        sender.executed(self.client.batch_size, &times);
        times
    }

    /// Fails the request with the error of a step, and cancels the other steps. Only the first error counts.
    pub(crate) fn fail(&self, error: Error) {
        let text = format!("in ensemble '{}', {}", self.graph.name, error.message());
        let is_cancelled = !self.failed.load(Ordering::Acquire) && self.is_cancelled();
        let reason = if is_cancelled { FailureReason::Canceled } else { FailureReason::Other };
        self.fail_with(Error::new(error.code(), text).with_source(error), reason);
    }

    /// Ends the run, because nobody waits for the response any more.
    pub(crate) fn cancel(&self) {
        self.fail_with(Error::cancelled("the client cancelled the request"), FailureReason::Canceled);
    }

    fn fail_with(&self, error: Error, reason: FailureReason) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            self.out.fail(error, reason);
        }
    }

    /// Whether nobody waits for the response any more. Called under a queue's lock, so it never blocks.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.out.is_cancelled()
    }
}

impl ParentRequest for Run {
    fn context(&self) -> &RequestContext {
        &self.client.context
    }

    fn step_executed(&self, times: &ExecutionTimes) {
        self.phases.add(times);
    }
}
