//! A protocol of one line a request, for tests: what serves it besides this file is shared with HTTP and gRPC.
//!
//! A request is `infer MODEL[/VERSION] [NAME TYPE SHAPE VALUES]...`, with commas in shapes and values, of FP32 and INT32.
//! Each response is a line `response MODEL VERSION [NAME TYPE SHAPE VALUES]...`, an error is `error CODE TEXT`, and the last
//! line of a request is `end`.

use std::fmt::Write;
use std::str::{FromStr, SplitWhitespace};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{Code, Error, Event, Response, Result, Sequence};
use hippocamp_core::{
    Delivered, IncomingRequest, InferInput, InferRequest, InferenceServer, LoadedModel, OutputPlan,
    Responses, Running, Then,
};
use hippocamp_net::{Protocol, Session, Socket};
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::{DataType, Shape, TensorData};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Serves the line protocol.
#[derive(Debug)]
pub struct LineProtocol {
    server: Arc<InferenceServer>,
}

impl LineProtocol {
    /// Serves the models of this server.
    pub fn new(server: Arc<InferenceServer>) -> LineProtocol {
        LineProtocol { server }
    }
}

impl Protocol for LineProtocol {
    async fn serve(&self, socket: Socket, session: Session) {
        let mut socket = BufReader::new(socket);
        if let Some(why) = session.refusal() {
            let refused = error_line(&Error::unavailable(why.to_string()));
            drop(socket.write_all(refused.as_bytes()).await);
            return;
        }
        let mut line = String::new();
        while session.takes_more() {
            line.clear();
            let Some(Ok(1..)) = session.next(socket.read_line(&mut line)).await else { return };
            let request = session.begin();
            let answered = async {
                let _held =
                    request.exchange().charge(line.len()).map_err(|e| Error::unavailable(e.to_string()))?;
                infer(&self.server, &line, &mut socket).await
            };
            let last = answered.await.err().map(|error| error_line(&error)).unwrap_or_default() + "end\n";
            if socket.write_all(last.as_bytes()).await.is_err() || socket.flush().await.is_err() {
                return;
            }
        }
    }
}

/// Writes the responses of one request as they come.
async fn infer(server: &InferenceServer, line: &str, socket: &mut BufReader<Socket>) -> Result<()> {
    let mut words = line.split_whitespace();
    let (Some("infer"), Some(model)) = (words.next(), words.next()) else {
        return Err(Error::invalid_arg("expected 'infer MODEL[/VERSION] [NAME TYPE SHAPE VALUES]...'"));
    };
    let (name, version) = match model.split_once('/') {
        Some((name, version)) => (name, Some(number(version)?)),
        None => (model, None),
    };
    let accepted = server.accept(name, version, Responses::Any).await?;
    let mut request = LineRequest { words, arrived: Instant::now() };
    let running = accepted.submit(server, &mut request, Then::Wait)?;
    let Running { model, mut responses, mut outputs } = running;
    while let Some(event) = responses.next().await {
        let text = match event {
            Event::Response { response, .. } => response_line(&model, &mut outputs, response)?,
            Event::ResponseFailed(error) | Event::Failed(error) => error_line(&error),
            Event::End => return Ok(()),
        };
        socket.write_all(text.as_bytes()).await.map_err(|e| Error::cancelled(e.to_string()))?;
    }
    Ok(())
}

struct LineRequest<'l> {
    words: SplitWhitespace<'l>,
    arrived: Instant,
}

impl IncomingRequest for LineRequest<'_> {
    fn sequence(&self) -> Option<&Sequence> {
        None
    }

    fn decode<'a>(
        &'a mut self,
        _: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let mut next = || self.words.next();
        let mut inputs = Vec::new();
        while let Some(name) = next() {
            let (Some(data_type), Some(shape), Some(values)) = (next(), next(), next()) else {
                return Err(Error::invalid_arg(format!("input '{name}' needs a type, a shape and values")));
            };
            let data_type = DataType::from_protocol_name(data_type);
            let shape = Shape::from(&numbers(shape)?[..]);
            let data = match data_type {
                Some(DataType::Int32) => bytes(numbers::<i32>(values)?, i32::to_le_bytes),
                _ => bytes(numbers::<f32>(values)?, f32::to_le_bytes),
            };
            inputs.push(InferInput { name, data_type, shape, data: data.into() });
        }
        Ok(InferRequest::arrived_at(self.arrived, inputs.into()))
    }
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::invalid_arg(format!("'{text}' is not a number of the right kind")))
}

fn numbers<T: FromStr>(text: &str) -> Result<Vec<T>> {
    text.split(',').map(number).collect()
}

fn bytes<T>(values: Vec<T>, to_bytes: impl Fn(T) -> [u8; 4]) -> Bytes {
    values.into_iter().flat_map(to_bytes).collect()
}

fn response_line(model: &LoadedModel, plan: &mut OutputPlan, response: Response) -> Result<String> {
    let mut line = format!("response {} {}", model.name, model.version);
    plan.deliver(model, response.outputs, |output| {
        let Delivered { spec, data_type, shape, data, .. } = output;
        let data = data.as_ref().map(TensorData::to_host).transpose()?.unwrap_or_default();
        let elements = data.as_chunks::<4>().0.iter();
        let values: Vec<String> = match data_type {
            DataType::Int32 => elements.map(|e| i32::from_le_bytes(*e).to_string()).collect(),
            _ => elements.map(|e| f32::from_le_bytes(*e).to_string()).collect(),
        };
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let written = write!(line, " {} {data_type} {} {}", spec.name, shape.join(","), values.join(","));
        written.map_err(|e| Error::internal(e.to_string()))
    })?;
    line.push('\n');
    Ok(line)
}

fn error_line(error: &Error) -> String {
    let code = match error.code() {
        Code::NotFound => "NOT_FOUND",
        Code::InvalidArg => "INVALID",
        Code::Unavailable => "BUSY",
        Code::Unsupported => "UNSUPPORTED",
        Code::AlreadyExists => "EXISTS",
        Code::Cancelled => "CANCELLED",
        Code::Unknown | Code::Internal => "FAILED",
    };
    format!("error {code} {}\n", error.message().replace('\n', " "))
}
