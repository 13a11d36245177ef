//! The scheduler of a model version: its queue and its instance threads.

use std::pin::pin;
use std::sync::{Arc, Weak, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use hippocamp_backend::{
    CorrelationId, DeferredWake, Device, Error, FailureReason, Model, Request, Result, WakeInstance,
};
use hippocamp_metrics::SizeHistogram;
use hippocamp_tensor::Place as MemoryPlace;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::batcher::Batcher;
use crate::handover::{Handover, PendingHandover};
use crate::inline_execution::InlineExecution;
use crate::instance::Instance;
use crate::mending::Peers;
use crate::plan::Place;
use crate::sequence_batcher::SequenceBatcher;
use crate::turn::Turn;
use crate::{InstancePlan, Queue, QueueSettings, SequencePolicy};

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
    inline: InlineExecution,
    peers: Arc<Peers>,
}

impl Scheduler {
    /// Starts all instances and waits until each is ready to execute, which may take seconds for a large model. If an
    /// instance cannot be created, the others are stopped, and its error is returned once they have ended.
    ///
    /// # Errors
    /// That of an instance that cannot be made.
    pub fn start(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        queue: QueueSettings,
    ) -> Result<(Scheduler, Stopped)> {
        Launch::new(model, instances, Batcher::Dynamic(Queue::new(queue)))
            .start()
            .map_err(FailedLaunch::ended)
    }

    /// As [`Scheduler::start`], for a model whose requests belong to sequences.
    ///
    /// # Errors
    /// As of [`Scheduler::start`].
    pub fn start_sequences(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        policy: SequencePolicy,
    ) -> Result<(Scheduler, Stopped)> {
        let batcher = SequenceBatcher::new(policy, instances.len());
        Launch::new(model, instances, Batcher::Sequence(batcher)).start().map_err(FailedLaunch::ended)
    }

    /// Queues the request and returns at once. The response is sent through the request's own sender by an instance
    /// thread.
    ///
    /// # Errors
    /// The queue is full or closed. Nothing was sent or counted then.
    pub fn enqueue(&self, mut request: Request) -> Result<()> {
        request.report_queued();
        self.offer(request).map_err(refused)
    }

    /// As [`Scheduler::enqueue`], for a thread that can spare some microseconds: if an instance is idle and its
    /// executions are short, the request is executed inline and answered before this returns, and others that wait may
    /// be. If a deferred wake is returned, an idle instance could execute the request: the caller has to drop it soon,
    /// after it has queued further requests for the same batch.
    ///
    /// # Errors
    /// As of [`Scheduler::enqueue`].
    pub fn execute_or_enqueue(&self, mut request: Request) -> Result<Option<DeferredWake>> {
        request.report_queued();
        let inline = self.inline.short(&request).zip(self.batcher.queue_to_pass());
        let request = match inline {
            Some((size, queue)) => match self.inline.execute(queue, request, size) {
                Ok(()) => return Ok(None),
                Err(closed) => *closed,
            },
            None => request,
        };
        self.offer_deferring_wake(request).map_err(refused)
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

    /// Where the instances read their inputs best: in the memory of the device that all of them are on, in pinned memory if some
    /// are on devices, otherwise in host memory.
    pub fn input_place(&self) -> MemoryPlace {
        let of = |device: Device| match device {
            Device::Cpu => MemoryPlace::Host,
            Device::Gpu(id) => MemoryPlace::Device(id),
        };
        let mut places = self.places.iter().map(|(device, _)| of(*device));
        let first = places.next().unwrap_or_default();
        if places.all(|place| place == first) { first } else { MemoryPlace::Pinned }
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

    /// Why no instance can execute, if all were lost and could not be made anew so far.
    pub fn lost(&self) -> Option<Error> {
        self.peers.why_none_serves()
    }

    /// How many instances were lost and could not be made anew so far.
    pub fn lost_instances(&self) -> usize {
        self.peers.lost()
    }

    /// How many requests wait for an instance.
    pub fn pending(&self) -> usize {
        self.batcher.pending()
    }

    /// A histogram of the queue length that each new request found.
    pub fn depths(&self) -> SizeHistogram {
        let mut depths = self.batcher.depths();
        depths.observe_many(0, self.inline.passed());
        depths
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // What the model's memory is held by has to go before the end is signalled, which the instances do.
        self.inline = InlineExecution::default();
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
            inline: InlineExecution::default(),
            peers: Arc::new(Peers::new(plans.len())),
        };
        let (alive, stopped) = watch::channel(());
        let owner: Weak<Batcher> = Arc::downgrade(&scheduler.batcher);
        scheduler.batcher.owned_by(owner, alive.clone());
        let mut instances = Vec::new();
        for plan in plans {
            let possible = plan.limited.is_none() && plan.cores.is_all();
            let possible = possible && scheduler.batcher.queue_to_pass().is_some();
            let inline = possible.then(|| scheduler.inline.add(model, &plan.spec));
            instances.push(Instance {
                plan: Arc::new(plan),
                model: Arc::clone(model),
                batcher: Arc::clone(&scheduler.batcher),
                handover: Arc::clone(&scheduler.handover),
                inline,
                peers: Arc::clone(&scheduler.peers),
                turn: Arc::new(Turn::new(alive.clone())),
            });
        }
        Launch { scheduler, instances, alive, stopped }
    }

    /// Creates the instances, at the same time, and waits until every one is.
    pub(crate) fn start(self) -> Result<(Scheduler, Stopped), FailedLaunch> {
        let Launch { scheduler, instances, alive, stopped } = self;
        let stopped = Stopped(stopped);
        let (made, results) = mpsc::channel();
        let spawned = instances.into_iter().try_for_each(|instance| instance.spawn(made.clone()));
        drop(made);
        drop(alive);
        match spawned.and_then(|()| results.iter().collect()) {
            Ok(()) => Ok((scheduler, stopped)),
            Err(error) => Err(FailedLaunch { error, stopped }),
        }
    }
}

/// Why instances could not be created. Those that could are ending.
#[derive(Debug)]
pub(crate) struct FailedLaunch {
    error: Error,
    stopped: Stopped,
}

impl FailedLaunch {
    /// Waits until no instance is left, whose memory the next try needs. Returns the error.
    pub(crate) fn ended(self) -> Error {
        self.stopped.wait_blocking();
        self.error
    }
}

/// Signals when every instance of a scheduler has ended or moved to another scheduler, and its memory is freed.
#[derive(Clone, Debug)]
pub struct Stopped(watch::Receiver<()>);

impl Stopped {
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel closes when the last instance drops its end.
        while self.0.changed().await.is_ok() {}
    }

    /// As [`Stopped::wait`], on a thread that may block.
    fn wait_blocking(self) {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut wait = pin!(self.wait());
        while wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests;
