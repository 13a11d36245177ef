//! A model version's queue and instance threads, as one thing.

use std::sync::{Arc, mpsc};

use hippocamp_backend::{InstanceSpec, Model, Request, Result};

use crate::batcher::Batcher;
use crate::instance::Instance;
use crate::sequence_batcher::SequenceBatcher;
use crate::{BatchPolicy, Queue, SequencePolicy};

/// Takes requests and has them executed. When the last owner drops it, its instances finish what waits and end.
#[derive(Debug)]
pub struct Scheduler {
    batcher: Arc<Batcher>,
}

impl Scheduler {
    /// Starts all instances and waits until each is ready to execute: seconds for a large model. If one cannot be made,
    /// the others are let go, and the error is that one's.
    pub fn start(
        model: &Arc<dyn Model>,
        instances: Vec<InstanceSpec>,
        policy: BatchPolicy,
    ) -> Result<(Scheduler, Stopped)> {
        Scheduler::start_with(model, instances, Batcher::Dynamic(Queue::new(policy)))
    }

    /// The same for a model whose requests belong to sequences.
    pub fn start_sequences(
        model: &Arc<dyn Model>,
        instances: Vec<InstanceSpec>,
        policy: SequencePolicy,
    ) -> Result<(Scheduler, Stopped)> {
        let batcher = SequenceBatcher::new(policy, instances.len())?;
        Scheduler::start_with(model, instances, Batcher::Sequence(batcher))
    }

    fn start_with(
        model: &Arc<dyn Model>,
        instances: Vec<InstanceSpec>,
        batcher: Batcher,
    ) -> Result<(Scheduler, Stopped)> {
        let scheduler = Scheduler { batcher: Arc::new(batcher) };
        let (alive, stopped) = tokio::sync::mpsc::channel(1);
        let (made, results) = mpsc::channel();
        for spec in instances {
            let (model, batcher) = (Arc::clone(model), Arc::clone(&scheduler.batcher));
            Instance { spec, model, batcher, alive: alive.clone() }.spawn(made.clone())?;
        }
        drop(made);
        results.iter().collect::<Result<()>>()?;
        Ok((scheduler, Stopped(stopped)))
    }

    /// Queues the request and returns at once; the answer arrives on the request's own sender, from an instance thread.
    /// If it cannot be queued, the error is returned and nothing is sent or counted.
    pub fn enqueue(&self, request: Request) -> Result<()> {
        self.batcher.push(request).map_err(|refused| {
            let (request, error) = *refused;
            request.response.withdraw();
            error
        })
    }

    /// How many requests wait for an instance.
    pub fn pending(&self) -> usize {
        self.batcher.pending()
    }
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
