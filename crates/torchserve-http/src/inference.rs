//! Health and predictions.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, Sequence};
use hippocamp_core::{AccessRecord, Activity};
use hippocamp_http_content::{ResponseBody, Unread};
use hippocamp_net::{RequestBody, keep_until_sent};
use hippocamp_tensor::HostSegments;
use hippocamp_torchserve::{Failure, Predicted};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};

use crate::front::TorchServeHttpFront;
use crate::query::Query;
use crate::router::Inference;
use crate::{answer, form, streamed};

const SEQUENCE_ID: HeaderName = HeaderName::from_static("ts_request_sequence_id");
const SEQUENCE_START: &str = "ts_request_sequence_start";
const SEQUENCE_END: &str = "ts_request_sequence_end";

/// How the error of a body that is too large is told from others.
const TOO_LARGE: &str = "larger than max_request_size";

type Answer = Result<Response<ResponseBody>, Failure>;

pub(crate) async fn answer(
    front: &TorchServeHttpFront,
    head: &Parts,
    call: Inference<'_>,
    body: Unread<RequestBody>,
) -> Answer {
    match call {
        Inference::Ping => {
            body.discard().await;
            let healthy = front.torchserve.is_healthy().await;
            let text = if healthy { "Healthy" } else { "Unhealthy" };
            Ok(answer::status(if healthy { 200 } else { 500 }, text))
        }
        Inference::Explain { model, version } => {
            body.discard().await;
            front.may_infer(&head.headers, &model)?;
            // The model is looked for first, as TorchServe does.
            front.torchserve.accept(&model, version.as_deref()).await?;
            Err(Failure::bad_request(format!(
                "model '{model}' has no explanations: these are made by Python handlers, which are not executed here"
            )))
        }
        Inference::Predict { model, version } => {
            predict(front, head, &model, version.as_deref(), Reply::Content, body).await
        }
        Inference::Instances { model } => predict(front, head, &model, None, Reply::Predictions, body).await,
        Inference::Invocations => {
            let named = Query::of(head.uri.query()).get("model_name");
            let Some(model) = named.or_else(|| front.torchserve.only_model()) else {
                body.discard().await;
                return Err(Failure::bad_request("Parameter model_name is required."));
            };
            predict(front, head, &model, None, Reply::Content, body).await
        }
    }
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Content,
    /// As KServe's first version has it.
    Predictions,
}

async fn predict(
    front: &TorchServeHttpFront,
    head: &Parts,
    model: &str,
    version: Option<&str>,
    reply: Reply,
    body: Unread<RequestBody>,
) -> Answer {
    let torchserve = &front.torchserve;
    let accepted = match front.may_infer(&head.headers, model) {
        Ok(()) => torchserve.accept(model, version).await,
        Err(failure) => Err(failure),
    };
    let prediction = match accepted {
        Ok(prediction) => prediction,
        Err(failure) => {
            body.discard().await;
            return Err(failure);
        }
    };
    let record = head.extensions.get::<Arc<AccessRecord>>();
    let observed =
        torchserve.server().observe(prediction.model(), record, |name| head.headers.get(name)?.to_str().ok());
    observed.mark(Activity::HttpRecvStart);
    let limit = torchserve.max_request_size();
    let collected = body.collect(limit, |_| Error::invalid_arg(TOO_LARGE)).await;
    observed.mark(Activity::HttpRecvEnd);
    let mut body = match collected {
        Ok(body) => body,
        Err(error) if error.message() == TOO_LARGE => return Ok(answer::too_large()),
        Err(error) => return Err(Failure::bad_request(error.message())),
    };
    let bytes = body.take(usize::MAX).to_host().map_err(|error| Failure::unavailable(error.to_string()))?;
    let mut response = if reply == Reply::Predictions {
        answer::json(200, torchserve.predict_instances(prediction, bytes, &observed).await?)
    } else {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let contents = form::contents(content_type, bytes)?;
        let sequence = sequence(&head.headers);
        let id = sequence.as_ref().map(|(id, _)| id.clone());
        let predicted = torchserve
            .predict(prediction, contents, sequence.map(|(_, sequence)| sequence), &observed)
            .await?;
        let mut response = content(predicted).await?;
        if let Some(id) = id {
            response.headers_mut().insert(SEQUENCE_ID, id);
        }
        response
    };
    keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    Ok(response)
}

/// A stream whose first response is a failure is one, with its status.
async fn content(predicted: Predicted) -> Answer {
    match predicted {
        Predicted::One(content) => Ok(answer::prediction(content)),
        Predicted::Many(mut stream) => match stream.next().await {
            None => Ok(answer::prediction(HostSegments::default())),
            Some(first) => Ok(answer::stream(streamed::body(first?, stream))),
        },
    }
}

/// The sequence that the headers name.
fn sequence(headers: &HeaderMap) -> Option<(HeaderValue, Sequence)> {
    let id = headers.get(SEQUENCE_ID)?;
    let is =
        |name: &str| headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let text = id.to_str().ok().filter(|text| !text.is_empty())?;
    let correlation_id = CorrelationId::Text(text.into());
    Some((id.clone(), Sequence { correlation_id, start: is(SEQUENCE_START), end: is(SEQUENCE_END) }))
}
