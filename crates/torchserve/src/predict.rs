//! Predictions.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{Error, Event, OutputTensor, Response, ResponseReceiver, Sequence, observe_both};
use hippocamp_core::{
    Accepted, Activity, LoadedModel, ModelRef, Observed, OutputPlan, Responses, Running, Then,
};
use hippocamp_net::off_thread;
use hippocamp_tensor::{DataType, HostSegments};

use crate::inputs::Incoming;
use crate::resolve::Target;
use crate::{Content, Failure, TorchServe, kserve, outputs};

/// The size in bytes from which contents are decoded on another thread: JSON of that size takes about a millisecond.
const LARGE: usize = 256 << 10;

/// The size in bytes of outputs from which their answer is written on another thread.
const LARGE_OUTPUT: usize = 64 << 10;

/// A prediction whose model was found.
#[derive(Debug)]
pub struct Prediction {
    name: String,
    version: Option<String>,
    accepted: Accepted,
    begun: Instant,
}

/// What came of a prediction.
#[derive(Debug)]
pub enum Predicted {
    /// The only response.
    One(HostSegments),
    /// The responses of a model that sends any number, as they come.
    Many(PredictionStream),
}

/// Responses that come one after the other. Dropping it cancels the request.
#[derive(Debug)]
pub struct PredictionStream {
    model: ModelRef,
    responses: ResponseReceiver,
    plan: OutputPlan,
    keep_batch: bool,
}

impl TorchServe {
    /// Finds the model of a prediction, by its name and the text of its version, before its contents are read.
    pub async fn accept(self: &Arc<Self>, name: &str, version: Option<&str>) -> Result<Prediction, Failure> {
        let Target { model, version: number } = self.resolve(name, version).await?;
        let accepted = self.server.accept(&model, number, Responses::Any).await;
        let accepted = accepted.map_err(|error| Failure::of_prediction(name, &error))?;
        Ok(Prediction {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            accepted,
            begun: Instant::now(),
        })
    }

    /// Executes a prediction. Dropping the future cancels it.
    pub async fn predict(
        self: &Arc<Self>,
        prediction: Prediction,
        contents: Vec<Content>,
        sequence: Option<Sequence>,
        observed: &Observed,
    ) -> Result<Predicted, Failure> {
        let incoming = Incoming { contents, rows: None, sequence, has_batch: false };
        let size = incoming.contents.iter().map(|content| content.data.len()).sum();
        let (incoming, running, done) = self.submit(prediction, incoming, size, observed).await?;
        let Running { model, responses, outputs: plan } = running;
        if model.interface.decoupled {
            done.count(self);
            let keep_batch = incoming.has_batch;
            return Ok(Predicted::Many(PredictionStream { model, responses, plan, keep_batch }));
        }
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let keep_batch = incoming.has_batch;
        let write = move |model: &LoadedModel, plan: &mut OutputPlan, response| {
            outputs::content(model, plan, response, keep_batch)
        };
        let content = written(&model, plan, response, write).await.1;
        let content = content.map_err(|error| Failure::of_prediction(&done.name, &error))?;
        done.count(self);
        Ok(Predicted::One(content))
    }

    /// Executes a prediction in the first version of KServe's protocol. Returns the answer's JSON.
    pub async fn predict_instances(
        self: &Arc<Self>,
        prediction: Prediction,
        body: Bytes,
        observed: &Observed,
    ) -> Result<String, Failure> {
        let size = body.len();
        let rows = off_thread(size > LARGE, move || kserve::instances(&body)).await;
        let rows = rows.map_err(|_| Failure::internal(NOT_PROCESSED))??;
        let incoming = Incoming { contents: Vec::new(), rows: Some(rows), sequence: None, has_batch: true };
        let (_, running, done) = self.submit(prediction, incoming, size, observed).await?;
        let Running { model, responses, outputs: plan } = running;
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let write = |model: &LoadedModel, plan: &mut OutputPlan, response| {
            Ok(kserve::predictions(&outputs::rows(model, plan, response)?))
        };
        let predictions = written(&model, plan, response, write).await.1;
        let predictions = predictions.map_err(|error| Failure::of_prediction(&done.name, &error))?;
        done.count(self);
        Ok(predictions)
    }

    /// Queues a request whose contents have so many bytes.
    async fn submit(
        self: &Arc<Self>,
        prediction: Prediction,
        mut incoming: Incoming,
        size: usize,
        observed: &Observed,
    ) -> Result<(Incoming, Running, Done), Failure> {
        let Prediction { name, version, accepted, begun } = prediction;
        let mut origin = observed.origin(None);
        origin.observer = observe_both(origin.observer, self.counters.observer(&name, version.as_deref()));
        let accepted = accepted.of(origin);
        let large = size > LARGE && (incoming.rows.is_some() || !is_one_text(&accepted));
        let server = Arc::clone(&self.server);
        let then = if large { Then::Continue } else { Then::Wait };
        let submit = move || {
            let running = accepted.submit(&*server, &mut incoming, then)?;
            Ok((incoming, running))
        };
        let submitted = if large { Box::pin(off_thread(true, submit)).await } else { Ok(submit()) };
        let submitted = submitted.map_err(|_| Failure::internal(NOT_PROCESSED))?;
        let (incoming, running) = submitted.map_err(|error| Failure::of_prediction(&name, &error))?;
        Ok((incoming, running, Done { name, version, begun }))
    }
}

/// What a client is told where a thread was lost.
const NOT_PROCESSED: &str = "the request could not be processed";

/// Writes an answer, on another thread if it is large. Returns the plan, too, for the next response of the request.
async fn written<T: Send + 'static>(
    model: &ModelRef,
    mut plan: OutputPlan,
    response: hippocamp_backend::Result<Response>,
    write: impl FnOnce(&LoadedModel, &mut OutputPlan, Response) -> hippocamp_backend::Result<T> + Send + 'static,
) -> (OutputPlan, hippocamp_backend::Result<T>) {
    let response = match response {
        Ok(response) => response,
        Err(error) => return (plan, Err(error)),
    };
    let is_one_text = |output: &OutputTensor| {
        let spec = model.interface.outputs.get(output.index);
        let data_type = output.data_type.or(spec.map(|spec| spec.data_type));
        data_type == Some(DataType::Bytes) && output.shape.element_count() == Some(1)
    };
    let as_it_is = response.outputs.len() == 1 && response.outputs.iter().all(is_one_text);
    let large =
        !as_it_is && response.outputs.iter().map(|output| output.data.len()).sum::<usize>() > LARGE_OUTPUT;
    if !large {
        let done = write(model, &mut plan, response);
        return (plan, done);
    }
    let model = model.clone();
    let work = move || {
        let done = write(&model, &mut plan, response);
        (plan, done)
    };
    let done = Box::pin(off_thread(true, work)).await;
    done.unwrap_or_else(|_| (OutputPlan::default(), Err(Error::internal(NOT_PROCESSED))))
}

/// Whether the contents go to the model as they are.
fn is_one_text(accepted: &Accepted) -> bool {
    let inputs = &accepted.model().interface.inputs;
    inputs.len() == 1 && inputs[0].data_type == hippocamp_tensor::DataType::Bytes
}

/// What is counted of a prediction.
struct Done {
    name: String,
    version: Option<String>,
    begun: Instant,
}

impl Done {
    fn count(&self, torchserve: &TorchServe) {
        torchserve.counters.predicted(&self.name, self.version.as_deref(), self.begun.elapsed());
    }
}

impl Prediction {
    /// The name of the server's model.
    pub fn model(&self) -> &str {
        &self.accepted.model().name
    }
}

impl PredictionStream {
    /// The content of the next response; `None` behind the last.
    pub async fn next(&mut self) -> Option<Result<HostSegments, Failure>> {
        let failed = |model: &ModelRef, error| Failure::of_prediction(&model.name, &error);
        match self.responses.next().await? {
            Event::Response { response, .. } => {
                let keep_batch = self.keep_batch;
                let write = move |model: &LoadedModel, plan: &mut OutputPlan, response| {
                    outputs::content(model, plan, response, keep_batch)
                };
                let plan = std::mem::take(&mut self.plan);
                let (plan, content) = written(&self.model, plan, Ok(response), write).await;
                self.plan = plan;
                Some(content.map_err(|error| failed(&self.model, error)))
            }
            Event::Failed(error) | Event::ResponseFailed(error) => Some(Err(failed(&self.model, error))),
            Event::End => None,
        }
    }
}
