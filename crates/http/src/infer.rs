//! Inference: from a request's body to a model, and back.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, Parameters, ResponseReceiver, Result};
use hippocamp_core::{InferInput, InferRequest, InferenceServer, LoadedModel};
use hippocamp_net::Source;
use hippocamp_shm::{SharedMemory, SharedTensors};
use hippocamp_tensor::TensorData;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};
use hyper::{HeaderMap, Response};
use smallvec::smallvec;

use crate::accepted_coding::AcceptedCoding;
use crate::binary::{self, HeaderLength};
use crate::body::{MAX_BODY, Segments, Unread, too_large};
use crate::compression::Coding;
use crate::encode::{Form, Wanted, encode};
use crate::front::HttpFront;
use crate::json::{Content, JsonInput, parse_infer};
use crate::off_thread::{LARGE_JSON, LARGE_OUTPUT, off_thread};
use crate::raw;
use crate::response::{self, ResponseBody};
use crate::router::ModelPath;

pub(crate) async fn infer<B>(
    front: &HttpFront,
    headers: &HeaderMap,
    path: &ModelPath<'_>,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let accepted = match Accepted::new(front, headers, path).await {
        Ok(accepted) => accepted,
        Err(error) => {
            body.discard().await;
            return refused(headers, &error);
        }
    };
    match accepted.run(body).await {
        Ok(response) => response,
        Err(error) => response::error(&error),
    }
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
struct Accepted {
    server: Arc<InferenceServer>,
    /// As far as can be told before it is known whether the request goes on with a sequence.
    model: Arc<LoadedModel>,
    version: Option<u64>,
    coding: Coding,
    reply_coding: AcceptedCoding,
    header_length: Option<HeaderLength>,
    max_input_size: usize,
}

/// A request that was queued.
struct Submitted {
    model: Arc<LoadedModel>,
    responses: ResponseReceiver,
    wanted: Wanted,
}

impl Accepted {
    async fn new(front: &HttpFront, headers: &HeaderMap, path: &ModelPath<'_>) -> Result<Accepted> {
        let model = front.server.demand_or_draining(&path.name, path.version).await?;
        if model.interface.decoupled {
            return Err(Error::unsupported(
                "HTTP end point doesn't support models with decoupled transaction policy",
            ));
        }
        Ok(Accepted {
            server: Arc::clone(&front.server),
            model,
            version: path.version,
            coding: Coding::of_request(headers)?,
            reply_coding: AcceptedCoding::of(headers, front.settings.response_compression),
            header_length: HeaderLength::of(headers)?,
            max_input_size: front.settings.max_input_size.min(MAX_BODY),
        })
    }

    async fn run<B>(self, body: Unread<B>) -> Result<Response<ResponseBody>>
    where
        B: Source,
    {
        let reply_coding = self.reply_coding;
        let body = self.read(body).await?;
        let arrived = Instant::now();
        let is_large = self.coding != Coding::Identity || self.json_length(body.len()) > LARGE_JSON;
        let submit = move || self.submit(body, arrived);
        let Submitted { model, responses, mut wanted } = off_thread(is_large, submit).await?;
        let response = responses.only().await?;
        let is_large = wanted.work(&response, &model.interface, reply_coding) > LARGE_OUTPUT;
        off_thread(is_large, move || encode(&model, &mut wanted, response)?.into_response(reply_coding)).await
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
                let what = if length.is_none() && is_plain { "Request JSON size" } else { "Request size" };
                let limit = self.max_input_size;
                body.collect(limit, |size| too_large(what, size, limit)).await
            }
        }
    }

    /// How many bytes of the body are JSON, as far as can be told before it is looked at.
    fn json_length(&self, body: usize) -> usize {
        self.header_length.as_ref().map_or(body, |length| length.within(body).unwrap_or(0))
    }

    /// Decodes the body and hands the request to the model.
    fn submit(self, body: Segments, arrived: Instant) -> Result<Submitted> {
        let mut body = self.coding.decompress(body, self.max_input_size)?;
        let json = match &self.header_length {
            Some(length) => length.within(body.len())?,
            None => body.len(),
        };
        if json == 0 {
            let model = self.server.in_sequence(self.model, self.version, None)?;
            return submit_raw(model, body.take(usize::MAX), arrived);
        }
        if json > self.max_input_size {
            return Err(too_large("Request JSON size", Some(json as u64), self.max_input_size));
        }
        let json = body.take(json).to_host()?;
        self.submit_json(&json, body, arrived)
    }

    fn submit_json(self, json: &[u8], mut tail: Segments, arrived: Instant) -> Result<Submitted> {
        let mut request = parse_infer(json, self.max_input_size)?;
        let sequence = request.parameters.sequence.take();
        let model = self.server.in_sequence(self.model, self.version, sequence.as_ref())?;
        let memory = self.server.shared_memory();
        let mut shared = SharedTensors::default();
        let take = |input| take_input(input, &mut tail, &model.name, memory, &mut shared);
        let inputs = request.inputs.iter_mut().map(take).collect::<Result<_>>()?;
        binary::nothing_left(&tail, &model.name)?;
        for output in &request.outputs {
            if let Some(place) = &output.shared_memory {
                shared.output(memory, &output.name, &place.region, place.offset, place.byte_size)?;
            }
        }
        let responses = model.infer_and_wait(InferRequest {
            id: &request.id,
            inputs,
            outputs: request.outputs.iter().map(|output| &*output.name).collect(),
            parameters: std::mem::take(&mut request.parameters.custom),
            priority: request.parameters.priority,
            timeout: request.parameters.timeout,
            sequence,
            arrived,
        })?;
        let wanted = Wanted::of(&request, &model.interface, shared);
        Ok(Submitted { model, responses, wanted })
    }
}

fn submit_raw(model: Arc<LoadedModel>, content: TensorData, arrived: Instant) -> Result<Submitted> {
    let (data_type, shape, data) = raw::deduce(&model.name, &model.interface, content)?;
    let name = model.interface.inputs.first().map_or("", |input| &input.name);
    let responses = model.infer_and_wait(InferRequest {
        id: "",
        inputs: smallvec![InferInput { name, data_type: Some(data_type), shape, data }],
        outputs: smallvec![],
        parameters: Parameters::default(),
        priority: 0,
        timeout: None,
        sequence: None,
        arrived,
    })?;
    Ok(Submitted { model, responses, wanted: Wanted::all(Form::BINARY) })
}

/// The input with its bytes, wherever they are.
fn take_input<'a>(
    input: &'a mut JsonInput<'_>,
    tail: &mut Segments,
    model: &str,
    memory: &SharedMemory,
    shared: &mut SharedTensors,
) -> Result<InferInput<'a>> {
    let data = match &mut input.content {
        Content::Json(data) => TensorData::from(std::mem::take(data)),
        Content::Binary(size) => binary::take(tail, *size, &input.name, model)?,
        Content::SharedMemory(place) => shared.input(memory, &place.region, place.offset, place.byte_size)?,
    };
    let shape = std::mem::take(&mut input.shape);
    Ok(InferInput { name: &input.name, data_type: input.data_type, shape, data })
}
