//! Requests over gRPC, by HTTP/2 without a layer above it: messages are encoded once, and answers are not decoded.

mod connection;
mod status;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};

use crate::exchange::{Call, Exchange, Fault, Reply};
pub(crate) use connection::GrpcConnection;
use status::refusal;
pub(crate) use stream::StreamExchange;

const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// The right to make one call at a time on a connection that others use as well.
#[derive(Debug)]
pub(crate) struct GrpcExchange {
    connection: Arc<GrpcConnection>,
    sender: Option<SendRequest<Bytes>>,
    request: Request<()>,
}

impl GrpcExchange {
    pub(crate) fn new(connection: &Arc<GrpcConnection>) -> GrpcExchange {
        let request = connection.request(MODEL_INFER);
        GrpcExchange { connection: Arc::clone(connection), sender: None, request }
    }
}

impl Exchange for GrpcExchange {
    async fn exchange(&mut self, call: &Call) -> Result<Reply, Fault> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.connection.sender().await.map_err(|why| Fault::Unreachable(why.to_string()))?,
        };
        match unary(&mut sender, self.request.clone(), call.message.clone()).await {
            Ok(trailers) => {
                self.sender = Some(sender);
                refusal(&trailers).map_or(Ok(Reply::SINGLE), |text| Err(Fault::Refused(text)))
            }
            Err(why) => Err(Fault::Broken(why.to_string())),
        }
    }
}

/// Makes a unary call, and returns its trailers.
async fn unary(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
) -> Result<HeaderMap, h2::Error> {
    std::future::poll_fn(|context| sender.poll_ready(context)).await?;
    let (response, mut body) = sender.send_request(request, false)?;
    body.send_data(message, true)?;
    let (head, mut body) = response.await?.into_parts();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    // A call that was refused at once has no trailers: its headers are.
    Ok(body.trailers().await?.unwrap_or(head.headers))
}
