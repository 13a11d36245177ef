//! Inference: from a request's body to a model, and back.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, Result, Sequence};
use hippocamp_core::{
    Accepted, AccessRecord, Activity, IncomingRequest, InferInput, InferRequest, InferenceServer,
    LoadedModel, Observed, Origin, OutputPlan, Responses, Running, Then,
};
use hippocamp_http_content::{
    AcceptedCoding, Coding, LARGE_JSON, LARGE_OUTPUT, MAX_BODY, Oversized, Segments, Unread, off_thread,
};
use hippocamp_net::{Source, keep_until_sent};
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::TensorData;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use smallvec::smallvec;

use crate::binary::{self, HeaderLength};
use crate::encode::{Form, Wanted, encode};
use crate::front::HttpFront;
use crate::json::{Content, JsonInput, JsonRequest, parse_infer};
use crate::raw;
use crate::response::{self, ResponseBody};
use crate::router::ModelPath;

pub(crate) async fn infer<B>(
    front: &HttpFront,
    head: &Parts,
    path: &ModelPath<'_>,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let accepted = match Head::accept(front, &head.headers, path).await {
        Ok(accepted) => accepted,
        Err(error) => {
            body.discard().await;
            return refused(&head.headers, &error);
        }
    };
    let observed = observe(front, head, &path.name);
    let answered = accepted.run(front, body, &observed).await;
    let mut response = answered.unwrap_or_else(|error| response::error(&error));
    keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    response
}

/// Begins to observe a request, if it is one that is traced, whose body is read next.
pub(crate) fn observe(front: &HttpFront, head: &Parts, model: &str) -> Observed {
    let record = head.extensions.get::<Arc<AccessRecord>>();
    let observed = front.server.observe(model, record, |name| head.headers.get(name)?.to_str().ok());
    observed.mark(Activity::HttpRecvStart);
    observed
}

#[cold]
fn refused(headers: &HeaderMap, error: &Error) -> Response<ResponseBody> {
    let mut response = response::error(error);
    if Coding::of_request(headers).is_err() {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
    }
    response
}

/// A request as far as its head tells.
struct Head {
    accepted: Accepted,
    coding: Coding,
    reply_coding: AcceptedCoding,
    header_length: Option<HeaderLength>,
    max_input_size: usize,
}

/// A request that its model has, and how its response is written.
struct Submitted {
    running: Running,
    wanted: Wanted,
}

const ONE: Responses =
    Responses::One { refusal: "HTTP end point doesn't support models with decoupled transaction policy" };

impl Head {
    async fn accept(front: &HttpFront, headers: &HeaderMap, path: &ModelPath<'_>) -> Result<Head> {
        let accepted = front.server.accept(&path.name, path.version, ONE).await?;
        let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let accepted = accepted.with_parameters(front.settings.header_forwarding.parameters(all)?);
        Ok(Head {
            accepted,
            coding: Coding::of_request(headers)?,
            reply_coding: AcceptedCoding::of(headers, front.settings.response_compression),
            header_length: HeaderLength::of(headers)?,
            max_input_size: front.settings.max_input_size.min(MAX_BODY),
        })
    }

    async fn run<B>(
        self,
        front: &HttpFront,
        body: Unread<B>,
        observed: &Observed,
    ) -> Result<Response<ResponseBody>>
    where
        B: Source,
    {
        let reply_coding = self.reply_coding;
        let body = self.read(body).await?;
        observed.mark(Activity::HttpRecvEnd);
        let arrived = Instant::now();
        let is_large = self.coding != Coding::Identity
            || self.json_length(body.len()) > LARGE_JSON
            || self.accepted.is_digested() && body.len() > front.large_copy;
        let server = &front.server;
        let head = Head { accepted: self.accepted.of(observed.origin(None)), ..self };
        let Submitted { running, wanted } = if is_large {
            let server = Arc::clone(server);
            off_thread(true, move || head.submit(&server, body, arrived)).await?
        } else {
            head.submit(server, body, arrived)?
        };
        let Running { model, responses, mut outputs } = running;
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let response = response?;
        let is_large = wanted.work(&response, &model.interface, &outputs, reply_coding) > LARGE_OUTPUT
            || front.large_copy != usize::MAX && outputs.copied_bytes(&model, &response) > front.large_copy;
        let encode = move || encode(&model, &wanted, &mut outputs, response)?.into_response(reply_coding);
        off_thread(is_large, encode).await
    }

    async fn read<B>(&self, body: Unread<B>) -> Result<Segments>
    where
        B: Source,
    {
        let is_plain = self.coding == Coding::Identity;
        match &self.header_length {
            Some(length) if is_plain && !length.is_zero() => {
                let refused = |size: Option<u64>| {
                    let size = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
                    Error::invalid_arg(format!("a request{size} is larger than {MAX_BODY} bytes"))
                };
                body.collect(MAX_BODY, refused).await
            }
            length => {
                let what = match length {
                    _ if !is_plain => Oversized::Decompressed,
                    None => Oversized::Json,
                    Some(_) => Oversized::Raw,
                };
                let limit = self.max_input_size;
                body.collect(limit, |size| what.error(size, limit)).await
            }
        }
    }

    /// How many bytes of the body are JSON, as far as can be told before it is looked at.
    fn json_length(&self, body: usize) -> usize {
        self.header_length.as_ref().map_or(body, |length| length.within(body).unwrap_or(0))
    }

    /// Decodes the body and hands the request to its model.
    fn submit(self, server: &InferenceServer, body: Segments, arrived: Instant) -> Result<Submitted> {
        let mut body = self.coding.decompress(body, self.max_input_size)?;
        let json = match &self.header_length {
            Some(length) => length.within(body.len())?,
            None => body.len(),
        };
        if json == 0 {
            let mut request = RawRequest { content: body.take(usize::MAX), arrived };
            let running = self.accepted.submit(server, &mut request, Then::Wait)?;
            return Ok(Submitted { running, wanted: Wanted::all(Form::Binary) });
        }
        if json > self.max_input_size {
            return Err(Oversized::Json.error(Some(json as u64), self.max_input_size));
        }
        let json = body.take(json).to_host()?;
        let json = parse_infer(&json, self.max_input_size)?;
        let mut request = BinaryRequest { json, tail: body, arrived };
        let running = self.accepted.submit(server, &mut request, Then::Wait)?;
        let wanted = Wanted::of(&request.json, &running.model.interface);
        Ok(Submitted { running, wanted })
    }
}

/// A request in JSON, with the tensors that follow it.
struct BinaryRequest<'j> {
    json: JsonRequest<'j>,
    tail: Segments,
    arrived: Instant,
}

impl IncomingRequest for BinaryRequest<'_> {
    fn sequence(&self) -> Option<&Sequence> {
        self.json.parameters.sequence.as_ref()
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        memory: &SharedMemory,
        plan: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let JsonRequest { id, parameters, inputs, outputs } = &mut self.json;
        let take = |input| take_input(input, &mut self.tail, &model.name, memory, plan);
        let inputs = inputs.iter_mut().map(take).collect::<Result<_>>()?;
        binary::nothing_left(&self.tail, &model.name)?;
        for output in &*outputs {
            if let Some(place) = &output.shared_memory {
                plan.shared_output(memory, &output.name, &place.region, place.offset, place.byte_size)?;
            }
            if output.classes > 0 {
                plan.classify(&output.name, output.classes);
            }
        }
        Ok(InferRequest {
            id,
            inputs,
            outputs: outputs.iter().map(|output| &*output.name).collect(),
            output_place: hippocamp_tensor::Place::Host,
            placed_outputs: smallvec::SmallVec::new(),
            parameters: std::mem::take(&mut parameters.custom),
            priority: parameters.priority,
            timeout: parameters.timeout,
            sequence: parameters.sequence.take(),
            arrived: self.arrived,
            origin: Origin::default(),
        })
    }
}

/// A body that is the only input of its model, without any JSON.
struct RawRequest {
    content: TensorData,
    arrived: Instant,
}

impl IncomingRequest for RawRequest {
    fn sequence(&self) -> Option<&Sequence> {
        None
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let content = std::mem::take(&mut self.content);
        let (data_type, shape, data) = raw::deduce(&model.name, &model.interface, content)?;
        let name = model.interface.inputs.first().map_or("", |input| &input.name);
        let input = InferInput { name, data_type: Some(data_type), shape, data };
        Ok(InferRequest::arrived_at(self.arrived, smallvec![input]))
    }
}

/// The input with its bytes, wherever they are.
fn take_input<'a>(
    input: &'a mut JsonInput<'_>,
    tail: &mut Segments,
    model: &str,
    memory: &SharedMemory,
    plan: &mut OutputPlan,
) -> Result<InferInput<'a>> {
    let data = match &mut input.content {
        Content::Json(data) => TensorData::from(std::mem::take(data)),
        Content::Binary(size) => binary::take(tail, *size, &input.name, model)?,
        Content::SharedMemory(place) => {
            plan.shared_input(memory, &place.region, place.offset, place.byte_size)?
        }
    };
    let shape = std::mem::take(&mut input.shape);
    Ok(InferInput { name: &input.name, data_type: input.data_type, shape, data })
}
