//! A model version's queue and instance threads, as one thing.

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

/// It answers requests, which may run through others' sinks, and nothing else.
const TIMEKEEPER_STACK_SIZE: usize = 256 << 10;

/// Takes requests and has them executed. When the last owner drops it, its instances finish what waits and end.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) batcher: Arc<Batcher>,
    /// Of its instances, by their index.
    pub(crate) places: Vec<Place>,
    pub(crate) handover: Arc<Handover>,
    /// What it will take over from another.
    pub(crate) pending_handover: Mutex<Option<PendingHandover>>,
    /// The instances that may execute on the thread of a caller.
    inline: Vec<InlineInstance>,
}

impl Scheduler {
    /// Starts all instances and waits until each is ready to execute: seconds for a large model. If one cannot be made,
    /// the others are let go, and the error is that one's.
    pub fn start(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        queue: QueueSettings,
    ) -> Result<(Scheduler, Stopped)> {
        Launch::new(model, instances, Batcher::Dynamic(Queue::new(queue))).start()
    }

    /// The same for a model whose requests belong to sequences.
    pub fn start_sequences(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        policy: SequencePolicy,
    ) -> Result<(Scheduler, Stopped)> {
        let batcher = SequenceBatcher::new(policy, instances.len())?;
        Launch::new(model, instances, Batcher::Sequence(batcher)).start()
    }

    /// Queues the request and returns at once; the answer arrives on the request's own sender, from an instance thread.
    /// If it cannot be queued, the error is returned and nothing is sent or counted.
    pub fn enqueue(&self, mut request: Request) -> Result<()> {
        request.report_queued();
        self.offer(request).map_err(refused)
    }

    /// The same by a thread that can spare some microseconds: if an instance is idle and its executions are short, the
    /// request is executed here, and its answer has left when this returns. A deferred wake that comes back is due soon:
    /// the request could be executed now, and others may join it before.
    pub fn execute_or_enqueue(&self, mut request: Request) -> Result<Option<DeferredWake>> {
        request.report_queued();
        let Some(request) = self.execute_inline(request) else { return Ok(None) };
        self.offer_deferring_wake(request).map_err(refused)
    }

    /// Gives the request back if it has to be queued.
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

    /// The same for whoever waits for an answer only: a request that cannot be queued is answered with the error.
    pub fn enqueue_or_fail(&self, mut request: Request) {
        request.report_queued();
        if let Err(refused) = self.offer(request) {
            let (request, error) = *refused;
            request.fail(error, FailureReason::Other);
        }
    }

    /// Queues the request, here or at the scheduler that came after this one.
    fn offer(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        self.batcher.push(request).or_else(|refused| match self.handover.next() {
            Some(next) => next.offer(refused.0),
            None => Err(refused),
        })
    }

    /// The same, with a deferred wake that is due soon if others may join the request before.
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

    /// Whether its requests belong to sequences, whose states are with its instances.
    pub fn is_of_sequences(&self) -> bool {
        self.sequences().is_some()
    }

    /// Whether that sequence has begun here, and may get further requests.
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

    /// How many requests each new one found waiting.
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

/// A scheduler whose instances are still to be started.
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

    /// Starts the threads, and waits until every instance was made.
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

/// A model whose requests have timeouts has a thread that looks at them: an instance that is busy can't.
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

/// Tells when every instance of a scheduler has ended or gone on to another, and with it given its memory back.
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
