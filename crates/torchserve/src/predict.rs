//! Predictions.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Event, ResponseReceiver, Sequence};
use hippocamp_core::{Accepted, Activity, ModelRef, Observed, OutputPlan, Responses, Running, Then};
use hippocamp_net::off_thread;
use hippocamp_tensor::HostSegments;

use crate::inputs::Incoming;
use crate::resolve::Target;
use crate::{Content, Failure, TorchServe, kserve, outputs};

/// The size in bytes from which contents are decoded on another thread: JSON of that size takes about a millisecond.
const LARGE: usize = 256 << 10;

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
        let (incoming, running, done) = self.submit(prediction, incoming, observed).await?;
        let Running { model, responses, outputs: mut plan } = running;
        if model.interface.decoupled {
            done.count(self);
            let keep_batch = incoming.has_batch;
            return Ok(Predicted::Many(PredictionStream { model, responses, plan, keep_batch }));
        }
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let content =
            response.and_then(|response| outputs::content(&model, &mut plan, response, incoming.has_batch));
        let content = content.map_err(|error| Failure::of_prediction(&done.name, &error))?;
        done.count(self);
        Ok(Predicted::One(content))
    }

    /// Executes a prediction in the first version of KServe's protocol. Returns the answer's JSON.
    pub async fn predict_instances(
        self: &Arc<Self>,
        prediction: Prediction,
        body: &[u8],
        observed: &Observed,
    ) -> Result<String, Failure> {
        let rows = kserve::instances(body)?;
        let incoming = Incoming { contents: Vec::new(), rows: Some(rows), sequence: None, has_batch: true };
        let (_, running, done) = self.submit(prediction, incoming, observed).await?;
        let Running { model, responses, outputs: mut plan } = running;
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let rows = response.and_then(|response| outputs::rows(&model, &mut plan, response));
        let rows = rows.map_err(|error| Failure::of_prediction(&done.name, &error))?;
        done.count(self);
        Ok(kserve::predictions(&rows))
    }

    async fn submit(
        self: &Arc<Self>,
        prediction: Prediction,
        mut incoming: Incoming,
        observed: &Observed,
    ) -> Result<(Incoming, Running, Done), Failure> {
        let Prediction { name, version, accepted, begun } = prediction;
        let accepted = accepted.of(observed.origin(None));
        let large = incoming.contents.iter().map(|content| content.data.len()).sum::<usize>() > LARGE
            && !is_one_text(&accepted);
        let server = Arc::clone(&self.server);
        let then = if large { Then::Continue } else { Then::Wait };
        let submit = move || {
            let running = accepted.submit(&*server, &mut incoming, then)?;
            Ok((incoming, running))
        };
        let submitted = if large { Box::pin(off_thread(true, submit)).await } else { Ok(submit()) };
        let submitted = submitted.map_err(|_| Failure::internal("the request could not be processed"))?;
        let (incoming, running) = submitted.map_err(|error| Failure::of_prediction(&name, &error))?;
        Ok((incoming, running, Done { name, version, begun }))
    }
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
                let content = outputs::content(&self.model, &mut self.plan, response, self.keep_batch);
                Some(content.map_err(|error| failed(&self.model, error)))
            }
            Event::Failed(error) | Event::ResponseFailed(error) => Some(Err(failed(&self.model, error))),
            Event::End => None,
        }
    }
}
