//! Predictions: one request with one response or several, and streams of requests.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_access::{Access, Category, Grant, Right};
use hippocamp_backend::{CorrelationId, Sequence};
use hippocamp_core::AccessRecord;
use hippocamp_net::Phase;
use hippocamp_proto::torchserve::google::rpc;
use hippocamp_proto::torchserve::inference::{
    Empty, PredictionResponse, PredictionsRequest, TorchServeHealthResponse,
};
use hippocamp_services::torchserve_inference::inference_ap_is_service_server::InferenceApIsService;
use hippocamp_tensor::HostSegments;
use hippocamp_torchserve::{Content, ContentKind, Failure, Predicted, PredictionStream, TorchServe};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::status::of_prediction;

/// The responses of a stream that may wait to be sent.
const WAITING: usize = 4;

type Responses = Pin<Box<dyn Stream<Item = Result<PredictionResponse, Status>> + Send>>;

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    pub(crate) torchserve: Arc<TorchServe>,
    pub(crate) access: Access,
    /// Whether the server stops.
    pub(crate) phase: watch::Receiver<Phase>,
}

impl Inference {
    /// What the client may ask for; the call itself was admitted.
    fn grant(&self, metadata: &MetadataMap) -> Result<Grant, Status> {
        if self.access.is_open() {
            return Ok(Grant::all());
        }
        let header = |name: &str| metadata.get(name).map(tonic::metadata::MetadataValue::as_bytes);
        let grant = self.access.check(Category::Inference, Right::Infer, header);
        grant.map_err(|denial| Status::permission_denied(denial.to_string()))
    }
}

#[tonic::async_trait]
impl InferenceApIsService for Inference {
    async fn ping(&self, _: Request<Empty>) -> Result<Response<TorchServeHealthResponse>, Status> {
        let state = if self.torchserve.is_healthy().await { "Healthy" } else { "Unhealthy" };
        let health = format!("{{\n  \"status\": \"{state}\"\n}}\n");
        Ok(Response::new(TorchServeHealthResponse { health }))
    }

    async fn predictions(
        &self,
        request: Request<PredictionsRequest>,
    ) -> Result<Response<PredictionResponse>, Status> {
        let grant = self.grant(request.metadata())?;
        let record = request.extensions().get::<Arc<AccessRecord>>().cloned();
        let request = request.into_inner();
        let sequence_id = request.sequence_id.clone();
        match predict(&self.torchserve, &grant, request, record.as_ref()).await? {
            Predicted::One(content) => Ok(Response::new(response(&content, sequence_id)?)),
            Predicted::Many(mut stream) => {
                let first = stream.next().await.unwrap_or_else(|| Ok(HostSegments::default()));
                Ok(Response::new(response(&first.map_err(|failure| of_prediction(&failure))?, sequence_id)?))
            }
        }
    }

    type StreamPredictionsStream = Responses;

    async fn stream_predictions(
        &self,
        request: Request<PredictionsRequest>,
    ) -> Result<Response<Responses>, Status> {
        let grant = self.grant(request.metadata())?;
        let record = request.extensions().get::<Arc<AccessRecord>>().cloned();
        let request = request.into_inner();
        let sequence_id = request.sequence_id.clone();
        match predict(&self.torchserve, &grant, request, record.as_ref()).await? {
            Predicted::One(content) => {
                Ok(Response::new(Box::pin(tokio_stream::once(response(&content, sequence_id)))))
            }
            Predicted::Many(stream) => Ok(Response::new(many(stream, sequence_id))),
        }
    }

    type StreamPredictions2Stream = Responses;

    async fn stream_predictions2(
        &self,
        request: Request<Streaming<PredictionsRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let grant = self.grant(request.metadata())?;
        let record = request.extensions().get::<Arc<AccessRecord>>().cloned();
        let (torchserve, mut requests) = (Arc::clone(&self.torchserve), request.into_inner());
        let mut phase = self.phase.clone();
        let (replies, responses) = mpsc::channel(WAITING);
        // It ends when its client is gone, as nobody takes the responses then.
        tokio::spawn(async move {
            loop {
                let request = tokio::select! {
                    request = requests.next() => request,
                    () = replies.closed() => return,
                    // What was read is still answered; an idle stream does not hold up the end.
                    _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
                };
                let request = match request {
                    None => return,
                    Some(Ok(request)) => request,
                    // It could not be read, so that the stream cannot go on.
                    Some(Err(broken)) => {
                        // Unless its client is gone.
                        let _ = replies.send(Err(broken)).await;
                        return;
                    }
                };
                let sequence_id = request.sequence_id.clone();
                let own_id = sequence_id.clone();
                let answered = tokio::select! {
                    answered = predict(&torchserve, &grant, request, record.as_ref()) => answered,
                    () = replies.closed() => return,
                };
                let mut stream = match answered {
                    Ok(Predicted::Many(stream)) => many(stream, sequence_id),
                    Ok(Predicted::One(content)) => {
                        Box::pin(tokio_stream::once(response(&content, sequence_id)))
                    }
                    Err(status) => Box::pin(tokio_stream::once(Ok(failed(&status, sequence_id)))),
                };
                while let Some(response) = stream.next().await {
                    // A response that failed ends its request, and not the stream.
                    let response = response.unwrap_or_else(|status| failed(&status, own_id.clone()));
                    if replies.send(Ok(response)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

/// A request on a stream that failed, which does not end the stream.
fn failed(status: &Status, sequence_id: Option<String>) -> PredictionResponse {
    let status = rpc::Status { code: status.code() as i32, message: status.message().to_owned() };
    PredictionResponse { prediction: Bytes::new(), sequence_id, status: Some(status) }
}

async fn predict(
    torchserve: &Arc<TorchServe>,
    grant: &Grant,
    request: PredictionsRequest,
    record: Option<&Arc<AccessRecord>>,
) -> Result<Predicted, Status> {
    let PredictionsRequest { model_name, model_version, input, sequence_id } = request;
    let failed = |failure: Failure| of_prediction(&failure);
    if model_name.is_empty() {
        return Err(Status::internal("Parameter model_name is required.\nBadRequestException.()"));
    }
    grant.model(&model_name).map_err(|denial| Status::permission_denied(denial.to_string()))?;
    let version = Some(&*model_version).filter(|version| !version.is_empty());
    let prediction = torchserve.accept(&model_name, version).await.map_err(failed)?;
    let observed = torchserve.server().observe(prediction.model(), record, |_| None);
    let sequence = sequence_id.filter(|id| !id.is_empty()).map(|id| Sequence {
        correlation_id: CorrelationId::Text(id.into()),
        start: flag(&input, "ts_request_sequence_start"),
        end: flag(&input, "ts_request_sequence_end"),
    });
    let contents = input.into_iter().filter(|(name, _)| !name.starts_with("ts_request_sequence_"));
    let content =
        |(name, data): (String, Bytes)| Content { name, kind: ContentKind::Other, data: data.into() };
    torchserve.predict(prediction, contents.map(content).collect(), sequence, &observed).await.map_err(failed)
}

fn flag(input: &BTreeMap<String, Bytes>, name: &str) -> bool {
    input.get(name).is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
}

fn response(content: &HostSegments, sequence_id: Option<String>) -> Result<PredictionResponse, Status> {
    let prediction = content.join().map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(PredictionResponse { prediction, sequence_id, status: None })
}

fn many(stream: PredictionStream, sequence_id: Option<String>) -> Responses {
    let (replies, responses) = mpsc::channel(WAITING);
    tokio::spawn(forward(stream, sequence_id, replies));
    Box::pin(ReceiverStream::new(responses))
}

async fn forward(
    mut stream: PredictionStream,
    sequence_id: Option<String>,
    replies: mpsc::Sender<Result<PredictionResponse, Status>>,
) {
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = replies.closed() => return,
        };
        let Some(next) = next else { return };
        let reply = match next {
            Ok(content) => response(&content, sequence_id.clone()),
            Err(failure) => Err(of_prediction(&failure)),
        };
        let ends = reply.is_err();
        if replies.send(reply).await.is_err() || ends {
            return;
        }
    }
}
