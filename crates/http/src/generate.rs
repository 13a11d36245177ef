//! The generate extension: free-form JSON to a model, and one response back, or all of them as they come.

mod encode;
mod events;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{Error, Event, ResponseReceiver, Result, Sequence};
use hippocamp_core::{
    Accepted, Activity, IncomingRequest, InferInput, InferRequest, LoadedModel, Observed, OutputPlan,
    Responses, Then,
};
use hippocamp_http_content::{Coding, LARGE_JSON, MAX_BODY, Oversized, Unread, off_thread};
use hippocamp_net::{Source, keep_until_sent};
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::TensorData;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};

use self::encode::Encoder;
use crate::front::HttpFront;
use crate::infer::observe;
use crate::json::{GenerateRequest, parse_generate};
use crate::response::{self, ResponseBody};
use crate::router::ModelPath;

/// Answers with the only response of the model, decoupled or not.
pub(crate) async fn generate<B>(
    front: &HttpFront,
    head: &Parts,
    path: &ModelPath<'_>,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let answered = async {
        let (generation, observed) = Generation::begin(front, head, path, body).await;
        let answered = match generation {
            Ok(generation) => generation.only().await,
            Err(error) => Err(error),
        };
        observed.mark(Activity::InferResponseComplete);
        (answered, observed)
    };
    let (answered, observed) = answered.await;
    let mut response = answered.map_or_else(|error| response::error(&error), response::json);
    keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    response
}

/// Answers with each response of the model when it comes.
pub(crate) async fn generate_stream<B>(
    front: &HttpFront,
    head: &Parts,
    path: &ModelPath<'_>,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let (generation, observed) = Generation::begin(front, head, path, body).await;
    let mut response = match generation {
        Ok(generation) => events::respond(generation).await,
        Err(error) => response::error(&error),
    };
    observed.mark(Activity::InferResponseComplete);
    keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    response
}

/// A request that its model has. Dropping it cancels the request.
struct Generation {
    encoder: Arc<Encoder>,
    responses: ResponseReceiver,
}

impl Generation {
    async fn begin<B>(
        front: &HttpFront,
        head: &Parts,
        path: &ModelPath<'_>,
        body: Unread<B>,
    ) -> (Result<Generation>, Observed)
    where
        B: Source,
    {
        let accepted = match accept(front, &head.headers, path).await {
            Ok(accepted) => accepted,
            Err(error) => {
                body.discard().await;
                return (Err(error), Observed::default());
            }
        };
        let observed = observe(front, head, &path.name);
        (Generation::submit(front, accepted, body, &observed).await, observed)
    }

    async fn submit<B>(
        front: &HttpFront,
        accepted: Accepted,
        body: Unread<B>,
        observed: &Observed,
    ) -> Result<Generation>
    where
        B: Source,
    {
        let limit = front.settings.max_input_size.min(MAX_BODY);
        let mut body = body.collect(limit, |size| Oversized::Json.error(size, limit)).await?;
        observed.mark(Activity::HttpRecvEnd);
        let accepted = accepted.of(observed.origin(None));
        let arrived = Instant::now();
        let json = body.take(limit).to_host()?;
        let is_large = json.len() > LARGE_JSON;
        let server = Arc::clone(&front.server);
        let submit = move || {
            let mut request = FreeFormRequest { json, limit, arrived, parsed: GenerateRequest::default() };
            let running = accepted.submit(&*server, &mut request, Then::Continue)?;
            let encoder = Arc::new(Encoder::new(running.model, request.parsed.id));
            Ok(Generation { encoder, responses: running.responses })
        };
        off_thread(is_large, submit).await
    }

    /// The next response as JSON; `None` behind the last.
    async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        match self.responses.next().await? {
            Event::Response { response, .. } => Some(self.encoder.encode(response).await),
            Event::Failed(error) | Event::ResponseFailed(error) => Some(Err(error)),
            Event::End => None,
        }
    }

    /// The response as JSON if there is exactly one. Does not wait for the rest if there are more.
    async fn only(mut self) -> Result<Vec<u8>> {
        let content = self.next().await.unwrap_or_else(|| Err(not_one()))?;
        match self.next().await {
            None => Ok(content),
            Some(Ok(_)) => Err(not_one()),
            Some(Err(error)) => Err(error),
        }
    }
}

async fn accept(front: &HttpFront, headers: &HeaderMap, path: &ModelPath<'_>) -> Result<Accepted> {
    let accepted = front.server.accept(&path.name, path.version, Responses::Any).await?;
    match Coding::of_request(headers) {
        Ok(Coding::Identity) => Ok(accepted),
        _ => Err(Error::invalid_arg("Unsupported content-encoding, only 'identity' is supported.")),
    }
}

/// A JSON object whose members are inputs and parameters, as the interface of the model tells.
struct FreeFormRequest {
    json: Bytes,
    /// How many bytes one tensor may have.
    limit: usize,
    arrived: Instant,
    parsed: GenerateRequest,
}

impl IncomingRequest for FreeFormRequest {
    fn sequence(&self) -> Option<&Sequence> {
        None
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let specs = &model.interface.inputs;
        self.parsed = parse_generate(&self.json, &model.interface, self.limit)?;
        let inputs = std::mem::take(&mut self.parsed.inputs).into_iter().map(|input| InferInput {
            name: &specs[input.index].name,
            data_type: Some(specs[input.index].data_type),
            shape: input.shape,
            data: TensorData::from(input.data),
        });
        Ok(InferRequest {
            id: &self.parsed.id,
            parameters: std::mem::take(&mut self.parsed.parameters),
            ..InferRequest::arrived_at(self.arrived, inputs.collect())
        })
    }
}

#[cold]
fn not_one() -> Error {
    Error::invalid_arg(
        "generate expects model to produce exactly 1 response, use generate stream for model that generates various \
         number of responses",
    )
}
