//! A model version that is being served.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{
    DeferredWake, Error, InputTensor, ModelId, Observer, Observers, RegisteredObservers, Request,
    ResponseReceiver, Result, Use, Uses,
};
use hippocamp_ensemble::{Ensemble, StepModel};
use hippocamp_metrics::{Series, SizeHistogram};
use hippocamp_model_config::{Interface, ModelConfig, TensorSpec};
use hippocamp_scheduler::Scheduler;
use hippocamp_statistics::ModelStatistics;

use crate::LastUse;
use crate::cache::ModelCache;
use crate::{InferRequest, request_check};

/// One loaded version. Whoever holds it keeps it alive: when it is replaced or unloaded, requests that found it before
/// are still executed, and its memory goes when the last of them is done.
#[derive(Debug)]
pub struct LoadedModel {
    /// The name that requests give.
    pub name: Arc<str>,
    /// The number of the version.
    pub version: u64,
    /// `version` as the protocols write it.
    pub version_text: Arc<str>,
    /// Completed, defaulted and checked.
    pub config: Arc<ModelConfig>,
    /// Its inputs and outputs, and whether it is decoupled.
    pub interface: Arc<Interface>,
    /// Its counters.
    pub statistics: Arc<ModelStatistics>,
    /// Who is told of its requests: the statistics, and others that were registered.
    pub observers: Arc<Observers>,
    /// Its labels on the page for Prometheus.
    pub series: Series,
    /// The labels of those outputs that have a label file, by output name.
    pub labels: BTreeMap<Arc<str>, Vec<String>>,
    /// The sequence batchers whose sequences run on it: its own, or those of an ensemble's steps. Empty if there is none.
    pub sequences: Vec<Arc<Scheduler>>,
    /// Its part of the response cache, if its config asks for one.
    pub cache: Option<ModelCache>,
    /// When a request found it last. Kept up to date only where models are loaded lazily.
    pub last_use: LastUse,
    /// Who uses it, counted where somebody asks: if sequences run on it, and where models are evicted.
    pub uses: Option<Uses>,
    /// What executes its requests.
    pub executor: Executor,
}

/// A version was replaced, and the last of its sequences is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained;

/// The observers of a version: its statistics, and those that were registered for its model.
pub fn observers(
    registered: &RegisteredObservers,
    name: &Arc<str>,
    version: u64,
    statistics: &Arc<ModelStatistics>,
) -> Arc<Observers> {
    let model = ModelId { name: Arc::clone(name), version };
    let statistics = Arc::clone(statistics) as Arc<dyn Observer>;
    Arc::new(Observers::new(model, statistics, registered.of_model(name)))
}

/// What executes the requests of a version.
#[derive(Debug)]
pub enum Executor {
    /// Instances of its own. Shared with the same version under another config, if they did not have to change for it.
    Scheduler(Arc<Scheduler>),
    /// Other models.
    Ensemble(Ensemble),
}

impl Executor {
    /// Takes a request that was checked, from a thread that nothing else waits for. See
    /// [`Scheduler::execute_or_enqueue`].
    fn execute(&self, request: Request) -> Result<Option<DeferredWake>> {
        match self {
            Executor::Scheduler(scheduler) => scheduler.execute_or_enqueue(request),
            Executor::Ensemble(_) => self.enqueue(request).map(|()| None),
        }
    }

    /// Takes a request that was checked, and returns at once. See [`Scheduler::enqueue`].
    fn enqueue(&self, request: Request) -> Result<()> {
        match self {
            Executor::Scheduler(scheduler) => scheduler.enqueue(request),
            Executor::Ensemble(ensemble) => {
                ensemble.enqueue(request);
                Ok(())
            }
        }
    }
}

impl LoadedModel {
    /// Checks a request and queues it; one that takes microseconds may be executed right here. An error means that it was
    /// not queued. The answers come from the receiver; dropping it cancels the request.
    pub fn infer(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        self.start(request).map(|(responses, _wakes_now)| responses)
    }

    /// The same for a caller that waits for the responses right away: until then other requests may join the batch. A caller
    /// that does something else first uses [`LoadedModel::infer`], because an instance may sleep until somebody waits.
    pub fn infer_and_wait(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        let (mut responses, wake) = self.start(request)?;
        responses.wake_when_waiting(wake);
        Ok(responses)
    }

    fn start(&self, request: InferRequest<'_>) -> Result<(ResponseReceiver, Option<DeferredWake>)> {
        let (request, mut responses) = request_check::check(self, request)?;
        responses.count_as(self.uses.as_ref().and_then(Uses::begin));
        let request = self.unanswered(request);
        let wake = request.map_or(Ok(None), |request| self.executor.execute(request))?;
        Ok((responses, wake))
    }

    /// Begins a use of the version, which lasts until the value is dropped; there is nothing to hold where uses are not
    /// counted. An error if the version has been drained: what is begun on it now would be found by nobody.
    pub fn begin_use(&self) -> Result<Option<Use>, Drained> {
        match &self.uses {
            Some(uses) => uses.begin().map(Some).ok_or(Drained),
            None => Ok(None),
        }
    }

    /// Whether requests use it now, as far as that is counted.
    pub fn is_used(&self) -> bool {
        self.pending() > 0 || self.uses.as_ref().is_some_and(Uses::any)
    }

    /// The request, unless the response cache answers it.
    fn unanswered(&self, request: Request) -> Option<Request> {
        match &self.cache {
            Some(cache) => cache.answer(request),
            None => Some(request),
        }
    }

    /// Its instances, if it has any of its own.
    pub fn scheduler(&self) -> Option<&Arc<Scheduler>> {
        match &self.executor {
            Executor::Scheduler(scheduler) => Some(scheduler),
            Executor::Ensemble(_) => None,
        }
    }

    /// The output with that place in the model's list. An error if there is none: the backend answered with something else.
    pub fn output(&self, index: usize) -> Result<&TensorSpec> {
        self.interface.outputs.get(index).ok_or_else(|| {
            Error::internal(format!("model '{}' answered with an output that it does not have", self.name))
        })
    }

    /// The label of a class of an output.
    pub fn label(&self, output: &str, class: usize) -> Option<&str> {
        self.labels.get(output)?.get(class).map(String::as_str)
    }

    /// How many requests wait for an instance. Those of an ensemble wait at its steps and are counted there.
    pub fn pending(&self) -> usize {
        match &self.executor {
            Executor::Scheduler(scheduler) => scheduler.pending(),
            Executor::Ensemble(_) => 0,
        }
    }

    /// How many requests each new one found waiting.
    pub fn queue_depths(&self) -> SizeHistogram {
        match &self.executor {
            Executor::Scheduler(scheduler) => scheduler.depths(),
            Executor::Ensemble(_) => SizeHistogram::default(),
        }
    }
}

impl StepModel for LoadedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    fn visit_executing(&self, visit: &mut dyn FnMut(&str)) {
        match &self.executor {
            Executor::Scheduler(_) => visit(&self.name),
            Executor::Ensemble(ensemble) => ensemble.models().for_each(|model| model.visit_executing(visit)),
        }
    }

    fn check(&self, id: &str, inputs: &[Option<InputTensor>]) -> Result<usize> {
        request_check::check_step(self, id, inputs)
    }

    fn enqueue(&self, request: Request) {
        let Some(request) = self.unanswered(request) else { return };
        match &self.executor {
            // What cannot be queued is answered, and the ensemble hears of it so. It is never executed inline: a step is
            // queued from within the execution of another, under locks of the ensemble.
            Executor::Scheduler(scheduler) => scheduler.enqueue_or_fail(request),
            Executor::Ensemble(ensemble) => ensemble.enqueue(request),
        }
    }
}
