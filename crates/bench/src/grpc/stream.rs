//! Requests over gRPC streams (`ModelStreamInfer`), each worker on a stream of its own.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use hippocamp_proto::inference::ModelStreamInferResponse;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use http::Request;
use prost::Message;

use super::GrpcConnection;
use super::status::refusal;
use crate::exchange::{Call, Exchange, Fault, Reply};

const MODEL_STREAM_INFER: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The parameter of a response that says whether others follow. Only decoupled models have it.
const FINAL_RESPONSE: &str = "triton_final_response";

/// The length of the prefix of a gRPC message.
const PREFIX: usize = 5;

/// A stream, which is opened by the first request and again after an error.
#[derive(Debug)]
pub(crate) struct StreamExchange {
    connection: Arc<GrpcConnection>,
    request: Request<()>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendStream<Bytes>,
    receiver: RecvStream,
    received: BytesMut,
}

impl StreamExchange {
    pub(crate) fn new(connection: &Arc<GrpcConnection>) -> StreamExchange {
        let request = connection.request(MODEL_STREAM_INFER);
        StreamExchange { connection: Arc::clone(connection), request, open: None }
    }

    /// Sends a request on the stream, which is opened if it is not.
    async fn send(&mut self, message: Bytes) -> Result<&mut Open, Fault> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open(&self.connection, &self.request).await?),
        };
        open.sender.send_data(message, false).map_err(broken)?;
        Ok(open)
    }
}

impl Exchange for StreamExchange {
    async fn exchange(&mut self, call: &Call) -> Result<Reply, Fault> {
        let answer = match self.send(call.message.clone()).await {
            Ok(open) => open.answer().await,
            Err(fault) => Err(fault),
        };
        if answer.is_err() {
            // What else belongs to this request does not meet the next one.
            self.open = None;
        }
        answer
    }

    async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            // The server ends its side then, unless the connection is lost anyway.
            drop(open.sender.send_data(Bytes::new(), true));
            while let Some(Ok(data)) = open.receiver.data().await {
                drop(open.receiver.flow_control().release_capacity(data.len()));
            }
        }
    }
}

async fn open(connection: &GrpcConnection, request: &Request<()>) -> Result<Open, Fault> {
    let mut sender = connection.sender().await.map_err(|why| Fault::Unreachable(why.to_string()))?;
    std::future::poll_fn(|context| sender.poll_ready(context)).await.map_err(broken)?;
    let (response, stream) = sender.send_request(request.clone(), false).map_err(broken)?;
    let (head, receiver) = response.await.map_err(broken)?.into_parts();
    if head.headers.contains_key("grpc-status") {
        return Err(refused(&head.headers));
    }
    Ok(Open { sender: stream, receiver, received: BytesMut::new() })
}

impl Open {
    /// Receives the responses to a request up to the final one.
    async fn answer(&mut self) -> Result<Reply, Fault> {
        let mut reply = Reply { responses: 0, first: None };
        loop {
            let message = self.message().await?;
            let message = ModelStreamInferResponse::decode(message)
                .map_err(|why| Fault::Broken(format!("a response cannot be decoded: {why}")))?;
            if !message.error_message.is_empty() {
                return Err(Fault::Refused(message.error_message));
            }
            let response = message.infer_response.unwrap_or_default();
            let parameter =
                response.parameters.get(FINAL_RESPONSE).and_then(|value| value.parameter_choice.as_ref());
            let is_final = !matches!(parameter, Some(ParameterChoice::BoolParam(false)));
            // A final response without outputs only says that there is none any more.
            if !(is_final && parameter.is_some() && response.outputs.is_empty()) {
                reply.responses += 1;
                reply.first.get_or_insert_with(Instant::now);
            }
            if is_final {
                return Ok(reply);
            }
        }
    }

    /// The next message of the stream.
    async fn message(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(message) = split(&mut self.received) {
                return Ok(message);
            }
            let Some(data) = self.receiver.data().await else {
                let trailers = self.receiver.trailers().await.map_err(broken)?.unwrap_or_default();
                return Err(refused(&trailers));
            };
            let data = data.map_err(broken)?;
            self.receiver.flow_control().release_capacity(data.len()).map_err(broken)?;
            self.received.extend_from_slice(&data);
        }
    }
}

const MOST_RESERVED: usize = 1 << 20;

/// Takes a complete message from what was received.
fn split(received: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(*received.get(1..PREFIX)?.first_chunk()?) as usize;
    if received.len() < PREFIX + length {
        // No more on the server's word: it grows with what comes.
        received.reserve((PREFIX + length - received.len()).min(MOST_RESERVED));
        return None;
    }
    received.advance(PREFIX);
    Some(received.split_to(length).freeze())
}

fn broken(why: impl std::fmt::Display) -> Fault {
    Fault::Broken(why.to_string())
}

/// The fault of a stream that the server ended.
fn refused(trailers: &http::HeaderMap) -> Fault {
    match refusal(trailers) {
        Some(text) => Fault::Refused(text),
        None => Fault::Broken("the server ended the stream".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Messages come out as they went in, however they are cut on the way.
        #[test]
        fn messages_are_put_together(messages: Vec<Vec<u8>>, cut in 1usize..20) {
            let mut wire = Vec::new();
            for message in &messages {
                wire.push(0);
                wire.extend_from_slice(&(message.len() as u32).to_be_bytes());
                wire.extend_from_slice(message);
            }
            let mut received = BytesMut::new();
            let mut got = Vec::new();
            for part in wire.chunks(cut) {
                received.extend_from_slice(part);
                while let Some(message) = split(&mut received) {
                    got.push(message.to_vec());
                }
            }
            prop_assert_eq!(got, messages);
        }
    }
}
