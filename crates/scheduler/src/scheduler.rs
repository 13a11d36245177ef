//! The scheduler of a model version: its queue and its instance threads.

use std::sync::{Arc, mpsc};
use std::thread;

use hippocamp_backend::{
    CorrelationId, DeferredWake, Error, FailureReason, Model, Request, Result, WakeInstance,
};
use hippocamp_metrics::SizeHistogram;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::batcher::Batcher;
use crate::handover::{Handover, PendingHandover};
use crate::inline_execution::Size;
use crate::instance::{InlineInstance, Instance};
use crate::plan::Place;
use crate::sequence_batcher::SequenceBatcher;
use crate::{InstancePlan, Queue, QueueSettings, SequencePolicy};

/// In bytes. The thread only rejects requests, whose sinks run on its stack.
const TIMEKEEPER_STACK_SIZE: usize = 256 << 10;

/// Accepts requests and has them executed. When the last owner drops it, its instances execute the waiting requests and
/// end.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) batcher: Arc<Batcher>,
    /// The places of the instances, by their index.
    pub(crate) places: Vec<Place>,
    pub(crate) handover: Arc<Handover>,
    /// The prepared handover from another scheduler, until it is completed.
    pub(crate) pending_handover: Mutex<Option<PendingHandover>>,
    /// The instances that support inline execution.
    inline: Vec<InlineInstance>,
}

impl Scheduler {
    /// Starts all instances and waits until each is ready to execute, which may take seconds for a large model. If an
    /// instance cannot be created, the others are stopped and its error is returned.
    pub fn start(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        queue: QueueSettings,
    ) -> Result<(Scheduler, Stopped)> {
        Launch::new(model, instances, Batcher::Dynamic(Queue::new(queue))).start()
    }

    /// As [`Scheduler::start`], for a model whose requests belong to sequences.
    pub fn start_sequences(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        policy: SequencePolicy,
    ) -> Result<(Scheduler, Stopped)> {
        let batcher = SequenceBatcher::new(policy, instances.len())?;
        Launch::new(model, instances, Batcher::Sequence(batcher)).start()
    }

    /// Queues the request and returns at once. The response is sent through the request's own sender by an instance
    /// thread. If it cannot be queued, the error is returned and nothing is sent or counted.
    pub fn enqueue(&self, mut request: Request) -> Result<()> {
        request.report_queued();
        self.offer(request).map_err(refused)
    }

    /// As [`Scheduler::enqueue`], for a thread that can spare some microseconds: if an instance is idle and its
    /// executions are short, the request is executed inline and answered before this returns. If a deferred wake is
    /// returned, an idle instance could execute the request: the caller has to drop it soon, after it has queued
    /// further requests for the same batch.
    pub fn execute_or_enqueue(&self, mut request: Request) -> Result<Option<DeferredWake>> {
        request.report_queued();
        let Some(request) = self.execute_inline(request) else { return Ok(None) };
        self.offer_deferring_wake(request).map_err(refused)
    }

    /// Executes the request inline, or returns it if it has to be queued.
    fn execute_inline(&self, request: Request) -> Option<Request> {
        if self.inline.is_empty() {
            return Some(request);
        }
        let size = Size::of([&request]);
        for inline in &self.inline {
            if let Some(mut instance) = inline.shared.try_take(size) {
                if !self.batcher.pass() {
                    break;
                }
                inline.execute(&mut instance, request, size);
                return None;
            }
        }
        Some(request)
    }

    /// As [`Scheduler::enqueue`], but a request that cannot be queued fails through its own sender.
    pub fn enqueue_or_fail(&self, mut request: Request) {
        request.report_queued();
        if let Err(refused) = self.offer(request) {
            let (request, error) = *refused;
            request.fail(error, FailureReason::Other);
        }
    }

    /// Queues the request, here or at the scheduler that succeeded this one.
    fn offer(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        self.batcher.push(request).or_else(|refused| match self.handover.next() {
            Some(next) => next.offer(refused.0),
            None => Err(refused),
        })
    }

    /// As [`Scheduler::offer`], but may return a deferred wake, which the caller has to drop soon.
    fn offer_deferring_wake(&self, request: Request) -> Result<Option<DeferredWake>, Box<(Request, Error)>> {
        match self.batcher.push_deferring_wake(request) {
            Ok(wake_is_due) => {
                Ok(wake_is_due.then(|| DeferredWake::new(Arc::clone(&self.batcher) as Arc<dyn WakeInstance>)))
            }
            Err(refused) => match self.handover.next() {
                Some(next) => next.offer_deferring_wake(refused.0),
                None => Err(refused),
            },
        }
    }

    /// Whether this scheduler batches sequences, which are bound to instances.
    pub fn is_of_sequences(&self) -> bool {
        self.sequences().is_some()
    }

    /// Whether that sequence is active here and may get further requests.
    pub fn has_sequence(&self, id: &CorrelationId) -> bool {
        self.sequences().is_some_and(|sequences| sequences.has_sequence(id))
    }

    /// Whether any sequence may get further requests.
    pub fn has_sequences(&self) -> bool {
        self.sequences().is_some_and(SequenceBatcher::has_sequences)
    }

    fn sequences(&self) -> Option<&SequenceBatcher> {
        match &*self.batcher {
            Batcher::Sequence(sequences) => Some(sequences),
            Batcher::Dynamic(_) => None,
        }
    }

    /// How many requests wait for an instance.
    pub fn pending(&self) -> usize {
        self.batcher.pending()
    }

    /// A histogram of the queue length that each new request found.
    pub fn depths(&self) -> SizeHistogram {
        self.batcher.depths()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.batcher.close();
    }
}

/// The error of a request that could not be queued. Nothing is sent or counted for it.
#[cold]
fn refused(refused: Box<(Request, Error)>) -> Error {
    let (request, error) = *refused;
    request.response.withdraw();
    error
}

/// A scheduler whose instances have not been started yet.
pub(crate) struct Launch {
    scheduler: Scheduler,
    pub(crate) instances: Vec<Instance>,
    alive: watch::Sender<()>,
    stopped: watch::Receiver<()>,
}

impl Launch {
    pub(crate) fn new(model: &Arc<dyn Model>, plans: Vec<InstancePlan>, batcher: Batcher) -> Launch {
        let mut scheduler = Scheduler {
            batcher: Arc::new(batcher),
            places: plans.iter().map(InstancePlan::place).collect(),
            handover: Arc::default(),
            pending_handover: Mutex::new(None),
            inline: Vec::new(),
        };
        let (alive, stopped) = watch::channel(());
        let mut instances = Vec::new();
        for plan in plans {
            let inline = InlineInstance::of(&plan, &scheduler.batcher);
            instances.push(Instance {
                plan,
                model: Arc::clone(model),
                batcher: Arc::clone(&scheduler.batcher),
                handover: Arc::clone(&scheduler.handover),
                shared: inline.as_ref().map(|inline| Arc::clone(&inline.shared)),
                alive: alive.clone(),
            });
            scheduler.inline.extend(inline);
        }
        Launch { scheduler, instances, alive, stopped }
    }

    /// Starts the threads and waits until every instance is created.
    pub(crate) fn start(self) -> Result<(Scheduler, Stopped)> {
        let Launch { scheduler, instances, alive, stopped } = self;
        let (made, results) = mpsc::channel();
        for instance in instances {
            instance.spawn(made.clone())?;
        }
        drop(made);
        start_timekeeper(&scheduler.batcher, alive)?;
        results.iter().collect::<Result<()>>()?;
        Ok((scheduler, Stopped(stopped)))
    }
}

/// Starts a thread that watches queue timeouts, if the model has any: busy instances cannot.
fn start_timekeeper(batcher: &Arc<Batcher>, alive: watch::Sender<()>) -> Result<()> {
    if !batcher.needs_timekeeper() {
        return Ok(());
    }
    let batcher = Arc::clone(batcher);
    let thread = thread::Builder::new().name("timekeeper".to_owned()).stack_size(TIMEKEEPER_STACK_SIZE);
    let started = thread.spawn(move || {
        batcher.keep_time();
        drop((batcher, alive));
    });
    started.map(drop).map_err(|e| {
        Error::unavailable(format!("no thread could be started for the timeouts of requests: {e}"))
            .with_source(e)
    })
}

/// Signals when every instance thread of a scheduler has ended or moved to another scheduler, and its memory is freed.
#[derive(Clone, Debug)]
pub struct Stopped(watch::Receiver<()>);

impl Stopped {
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel closes when the last thread drops its end.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests;
