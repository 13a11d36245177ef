//! A model version's queue and instance threads, as one thing.

use std::sync::{Arc, mpsc};
use std::thread;

use hippocamp_backend::{Bell, Error, Model, Request, Result, Ring};
use hippocamp_metrics::SizeHistogram;

use crate::batcher::Batcher;
use crate::instance::{InPlace, Instance};
use crate::seat;
use crate::sequence_batcher::SequenceBatcher;
use crate::{InstancePlan, Queue, QueueSettings, SequencePolicy};

/// It answers requests, which may run through others' sinks, and nothing else.
const TIMEKEEPER_STACK_SIZE: usize = 256 << 10;

/// Takes requests and has them executed. When the last owner drops it, its instances finish what waits and end.
#[derive(Debug)]
pub struct Scheduler {
    batcher: Arc<Batcher>,
    /// The instances that may be used from here.
    in_place: Vec<InPlace>,
}

impl Scheduler {
    /// Starts all instances and waits until each is ready to execute: seconds for a large model. If one cannot be made,
    /// the others are let go, and the error is that one's.
    pub fn start(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        queue: QueueSettings,
    ) -> Result<(Scheduler, Stopped)> {
        Scheduler::start_with(model, instances, Batcher::Dynamic(Queue::new(queue)))
    }

    /// The same for a model whose requests belong to sequences.
    pub fn start_sequences(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        policy: SequencePolicy,
    ) -> Result<(Scheduler, Stopped)> {
        let batcher = SequenceBatcher::new(policy, instances.len())?;
        Scheduler::start_with(model, instances, Batcher::Sequence(batcher))
    }

    fn start_with(
        model: &Arc<dyn Model>,
        instances: Vec<InstancePlan>,
        batcher: Batcher,
    ) -> Result<(Scheduler, Stopped)> {
        let mut scheduler = Scheduler { batcher: Arc::new(batcher), in_place: Vec::new() };
        let (alive, stopped) = tokio::sync::mpsc::channel(1);
        let (made, results) = mpsc::channel();
        for plan in instances {
            let (model, batcher) = (Arc::clone(model), Arc::clone(&scheduler.batcher));
            let in_place = InPlace::of(&plan, &batcher);
            let seat = in_place.as_ref().map(|in_place| Arc::clone(&in_place.seat));
            Instance { plan, model, batcher, seat, alive: alive.clone() }.spawn(made.clone())?;
            scheduler.in_place.extend(in_place);
        }
        drop(made);
        scheduler.start_timekeeper(alive)?;
        results.iter().collect::<Result<()>>()?;
        Ok((scheduler, Stopped(stopped)))
    }

    /// A model whose requests have timeouts has a thread that looks at them: an instance that is busy can't.
    fn start_timekeeper(&self, alive: tokio::sync::mpsc::Sender<()>) -> Result<()> {
        if !self.batcher.needs_timekeeper() {
            return Ok(());
        }
        let batcher = Arc::clone(&self.batcher);
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

    /// Queues the request and returns at once; the answer arrives on the request's own sender, from an instance thread.
    /// If it cannot be queued, the error is returned and nothing is sent or counted.
    pub fn enqueue(&self, request: Request) -> Result<()> {
        self.batcher.push(request).map_err(refused)
    }

    /// The same by a thread that can spare some microseconds: if an instance is idle and its executions are short, the
    /// request is executed here, and its answer has left when this returns. A bell that comes back is to be rung soon:
    /// the request could be executed now, and others may join it before.
    pub fn execute_or_enqueue(&self, request: Request) -> Result<Option<Bell>> {
        let Some(request) = self.execute_in_place(request) else { return Ok(None) };
        let rings = self.batcher.push_quietly(request).map_err(refused)?;
        Ok(rings.then(|| Bell::new(Arc::clone(&self.batcher) as Arc<dyn Ring>)))
    }

    /// Gives the request back if it has to be queued.
    fn execute_in_place(&self, request: Request) -> Option<Request> {
        if !seat::is_small(&request) {
            return Some(request);
        }
        for in_place in &self.in_place {
            if let Some(mut instance) = in_place.seat.try_take() {
                if !self.batcher.pass() {
                    break;
                }
                in_place.execute(&mut instance, request);
                return None;
            }
        }
        Some(request)
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

/// The error of a request that could not be queued. Nothing is sent or counted for it.
#[cold]
fn refused(refused: Box<(Request, Error)>) -> Error {
    let (request, error) = *refused;
    request.response.withdraw();
    error
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.batcher.close();
    }
}

/// Tells when every instance of a scheduler has ended, and with it given its memory back.
#[derive(Debug)]
pub struct Stopped(tokio::sync::mpsc::Receiver<()>);

impl Stopped {
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel closes when the last thread drops its end.
        while self.0.recv().await.is_some() {}
    }
}

#[cfg(test)]
mod tests;
