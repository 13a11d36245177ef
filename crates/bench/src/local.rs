//! Requests to a model in this process: the server without its sockets.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{CorrelationId, Error, Event, Sequence};
use hippocamp_client::Request;
use hippocamp_core::{InferInput, InferRequest, LoadedModel};

use crate::exchange::{Call, Exchange, Fault, Reply};

/// A model in this process, and what it is asked.
#[derive(Clone, Debug)]
pub(crate) struct LocalExchange {
    model: Arc<LoadedModel>,
    request: Arc<Request>,
}

impl LocalExchange {
    pub(crate) fn new(model: &Arc<LoadedModel>, request: &Request) -> LocalExchange {
        LocalExchange { model: Arc::clone(model), request: Arc::new(request.clone()) }
    }

    fn request(&self, call: &Call) -> InferRequest<'_> {
        let inputs = self.request.inputs.iter().map(|tensor| InferInput {
            name: &tensor.name,
            data_type: Some(tensor.data_type),
            shape: tensor.shape.iter().copied().collect(),
            data: tensor.data.clone().into(),
        });
        let mut request = InferRequest::new(inputs.collect());
        request.outputs = self.request.outputs.iter().map(String::as_str).collect();
        request.sequence = call.step.map(|step| Sequence {
            correlation_id: CorrelationId::Number(step.id),
            start: step.is_first,
            end: step.is_last,
        });
        request
    }
}

impl Exchange for LocalExchange {
    async fn exchange(&mut self, call: &Call) -> Result<Reply, Fault> {
        let refused = |error: Error| Fault::Refused(error.to_string());
        let mut responses = self.model.infer_and_wait(self.request(call)).map_err(refused)?;
        let mut reply = Reply { responses: 0, first: None };
        while let Some(event) = responses.next().await {
            match event {
                Event::Response { .. } => {
                    reply.responses += 1;
                    reply.first.get_or_insert_with(Instant::now);
                }
                Event::Failed(error) | Event::ResponseFailed(error) => return Err(refused(error)),
                Event::End => {}
            }
        }
        Ok(reply)
    }
}
