//! A loaded version of a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use hippocamp_backend::{
    DeferredWake, Error, InputTensor, ModelId, Observer, Observers, RegisteredObservers, Request,
    ResponseReceiver, ResponseSink, Result, Use, Uses,
};
use hippocamp_ensemble::{Ensemble, StepModel};
use hippocamp_metrics::{Series, SizeHistogram};
use hippocamp_model_config::{Interface, ModelConfig, TensorSpec};
use hippocamp_scheduler::Scheduler;
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{DataType, Place};

use crate::LastUse;
use crate::cache::ModelCache;
use crate::{InferRequest, ReadyCheck, request_check, shown_tensors};

/// One loaded version of a model. Every reference keeps it alive: after it is replaced or unloaded, requests that found it
/// before are still executed, and its memory is freed when the last of them has finished.
#[derive(Debug)]
pub struct LoadedModel {
    /// The name by which requests find the model.
    pub name: Arc<str>,
    /// The number of the version.
    pub version: u64,
    /// `version` as text, for responses.
    pub version_text: Arc<str>,
    /// The config, completed, with defaults, and checked.
    pub config: Arc<ModelConfig>,
    /// The inputs and outputs, and whether the model is decoupled.
    pub interface: Arc<Interface>,
    /// The counters of the version.
    pub statistics: Arc<ModelStatistics>,
    /// The observers of its requests: the statistics, and others that were registered.
    pub observers: Arc<Observers>,
    /// The labels of its metrics.
    pub series: Series,
    /// Of a model whose instances are not on one GPU alone: its GPUs, and the labels of what is counted on each. What was not executed on
    /// any has those of `series`.
    pub series_by_gpu: Vec<(i32, Series)>,
    /// The class labels of the outputs that have a label file, by output name.
    pub labels: BTreeMap<Arc<str>, Vec<String>>,
    /// The sequence batchers whose sequences run on it: its own, or those of an ensemble's steps. Empty if there is none.
    pub sequences: Vec<Arc<Scheduler>>,
    /// Its part of the response cache, if its config asks for one.
    pub cache: Option<ModelCache>,
    /// When each of its instances was ready to serve. Empty for an ensemble.
    pub ready_since: Vec<SystemTime>,
    /// The time of the last request. It is only updated if the server loads models lazily.
    pub last_use: LastUse,
    /// The count of uses. `None` if it is not needed: it is kept for models with sequences, and if models may be evicted.
    pub uses: Option<Uses>,
    /// Asks the model itself whether it is ready; `None` for most models, which have no word in it.
    pub ready_check: Option<Arc<ReadyCheck>>,
    /// What executes its requests.
    pub executor: Executor,
}

/// The error for a version that was replaced and whose last sequence has ended.
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
    /// The scheduler of the version's own instances. After an edit of the config that does not affect the instances, the old
    /// and the new version share it.
    Scheduler(Arc<Scheduler>),
    /// An ensemble, which runs other models.
    Ensemble(Ensemble),
}

impl Executor {
    /// Submits a checked request, and may execute it on the calling thread. See [`Scheduler::execute_or_enqueue`].
    fn execute(&self, request: Request) -> Result<Option<DeferredWake>> {
        match self {
            Executor::Scheduler(scheduler) => scheduler.execute_or_enqueue(request),
            Executor::Ensemble(_) => self.enqueue(request).map(|()| None),
        }
    }

    /// Submits a checked request and returns without executing it. See [`Scheduler::enqueue`].
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
    /// Checks and queues a request. A request that takes only microseconds may be executed inline. On an error the request
    /// was not queued. The responses come from the receiver; dropping it cancels the request.
    ///
    /// # Errors
    /// That of the check or the queue. The request was not queued then.
    pub fn infer(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        self.infer_observed(request, &self.observers)
    }

    /// As [`LoadedModel::infer`], with another reference to the observers.
    pub(crate) fn infer_observed(
        &self,
        request: InferRequest<'_>,
        observers: &Arc<Observers>,
    ) -> Result<ResponseReceiver> {
        self.start(request, observers).map(|(responses, _wakes_now)| responses)
    }

    /// As [`LoadedModel::infer`], for a caller that waits for the responses at once. The wake-up of an instance may be
    /// deferred until the caller waits, so that other requests join the batch. A caller that does something else first must
    /// use [`LoadedModel::infer`].
    ///
    /// # Errors
    /// As of [`LoadedModel::infer`].
    pub fn infer_and_wait(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        self.infer_observed_and_wait(request, &self.observers)
    }

    /// As [`LoadedModel::infer_and_wait`], with another reference to the observers.
    pub(crate) fn infer_observed_and_wait(
        &self,
        request: InferRequest<'_>,
        observers: &Arc<Observers>,
    ) -> Result<ResponseReceiver> {
        let (mut responses, wake) = self.start(request, observers)?;
        responses.wake_when_waiting(wake);
        Ok(responses)
    }

    fn start(
        &self,
        request: InferRequest<'_>,
        observers: &Arc<Observers>,
    ) -> Result<(ResponseReceiver, Option<DeferredWake>)> {
        let (request, mut responses) = request_check::check(self, request, Arc::clone(observers))?;
        responses.count_as(self.uses.as_ref().and_then(Uses::begin));
        let request = self.unanswered(request);
        let wake = request.map_or(Ok(None), |request| self.executor.execute(request))?;
        Ok((responses, wake))
    }

    /// Checks and queues a request whose responses go to a sink. It is never executed by the calling thread. On an error the
    /// sink is dropped, and has been given nothing.
    pub(crate) fn infer_into(
        &self,
        request: InferRequest<'_>,
        observers: &Arc<Observers>,
        sink: Box<dyn ResponseSink>,
    ) -> Result<()> {
        let request = request_check::check_for_sink(self, request, Arc::clone(observers), sink)?;
        self.unanswered(request).map_or(Ok(()), |request| self.executor.enqueue(request))
    }

    /// Begins a use of the version, which ends when the value is dropped; `None` if uses are not counted. Returns an error
    /// if the version is drained, because no later request would find a sequence that starts on it.
    pub fn begin_use(&self) -> Result<Option<Use>, Drained> {
        match &self.uses {
            Some(uses) => uses.begin().map(Some).ok_or(Drained),
            None => Ok(None),
        }
    }

    /// Whether requests wait for the version or, as far as uses are counted, are using it.
    pub fn is_used(&self) -> bool {
        self.pending() > 0 || self.uses.as_ref().is_some_and(Uses::any)
    }

    /// Returns the request, unless the response cache answers it.
    fn unanswered(&self, mut request: Request) -> Option<Request> {
        shown_tensors::show(self, &mut request);
        match &self.cache {
            Some(cache) => cache.answer(request),
            None => Some(request),
        }
    }

    /// The scheduler of its instances; `None` for an ensemble.
    pub fn scheduler(&self) -> Option<&Arc<Scheduler>> {
        match &self.executor {
            Executor::Scheduler(scheduler) => Some(scheduler),
            Executor::Ensemble(_) => None,
        }
    }

    /// The output with this index in the model's list. Returns an error if there is none, because the backend returned an
    /// unknown output.
    pub fn output(&self, index: usize) -> Result<&TensorSpec> {
        self.interface.outputs.get(index).ok_or_else(|| {
            Error::internal(format!("model '{}' answered with an output that it does not have", self.name))
        })
    }

    /// The label of a class of an output.
    pub fn label(&self, output: &str, class: usize) -> Option<&str> {
        self.labels.get(output)?.get(class).map(String::as_str)
    }

    /// The number of requests that wait for an instance. Requests of an ensemble wait at its steps and are counted there.
    pub fn pending(&self) -> usize {
        match &self.executor {
            Executor::Scheduler(scheduler) => scheduler.pending(),
            Executor::Ensemble(_) => 0,
        }
    }

    /// How many instances were lost and could not be made anew so far.
    pub fn lost_instances(&self) -> usize {
        self.scheduler().map_or(0, |scheduler| scheduler.lost_instances())
    }

    /// Why no request can be executed at this time, although the version serves: its instances are lost, or those of a step of it.
    pub fn why_lost(&self) -> Option<Error> {
        StepModel::lost(self)
    }

    /// A histogram of the queue's length, as each new request found it.
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

    fn input_place(&self, input: usize) -> Place {
        match &self.executor {
            // The elements of BYTES are walked, which only the host does.
            Executor::Scheduler(_)
                if self.interface.inputs.get(input).is_none_or(|spec| spec.data_type == DataType::Bytes) =>
            {
                Place::Host
            }
            Executor::Scheduler(scheduler) => scheduler.input_place(),
            Executor::Ensemble(ensemble) => ensemble.input_place(input),
        }
    }

    fn has_sequences(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// The instances are lost, or those of a step.
    fn lost(&self) -> Option<Error> {
        match &self.executor {
            Executor::Scheduler(scheduler) => scheduler.lost(),
            Executor::Ensemble(ensemble) => ensemble.models().find_map(|model| model.lost()),
        }
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
            // A request that cannot be queued gets an error response, which the ensemble receives. It is never executed
            // inline, because a step is queued during the execution of another one, under locks of the ensemble.
            Executor::Scheduler(scheduler) => scheduler.enqueue_or_fail(request),
            Executor::Ensemble(ensemble) => ensemble.enqueue(request),
        }
    }
}
