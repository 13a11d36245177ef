//! An example of a protocol: `POST /ask/MODEL` with numbers as text, separated by spaces, is answered by numbers as
//! text.
//!
//! `cargo run -p hippocamp-testing --example protocol`. A protocol decodes, calls `core` and encodes; choosing the
//! version, checks and statistics happen within the call. `net` owns the connections, their limits and their shutdown.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, Result, Sequence};
use hippocamp_core::{
    Activity, IncomingRequest, InferInput, InferRequest, InferenceServer, LoadedModel, Observed, OutputPlan,
    Responses, Running, Then,
};
use hippocamp_net::{Front, Http2, Port, Refusal, RequestBody, keep_until_sent};
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::DataType;
use hippocamp_testing::{Repository, TestServer, identity_config, send};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use smallvec::smallvec;
use tokio::net::TcpListener;

struct Ask(Arc<InferenceServer>);

impl Front for Ask {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let mut observed = Observed::default();
        // The server's errors have codes; each protocol maps them to its own statuses.
        let mut response = match self.answer(request, &mut observed).await {
            Ok(numbers) => text(StatusCode::OK, numbers),
            Err(error) => text(StatusCode::BAD_REQUEST, error.message().to_owned()),
        };
        // The trace of the request, if it has one, ends when the response was sent.
        keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
        response
    }

    fn refuse(&self, _: &Request<RequestBody>, why: Refusal) -> Option<Response<Full<Bytes>>> {
        Some(text(StatusCode::SERVICE_UNAVAILABLE, why.to_string()))
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

impl Ask {
    async fn answer(&self, request: Request<RequestBody>, observed: &mut Observed) -> Result<String> {
        let (head, body) = request.into_parts();
        let name = head.uri.path().strip_prefix("/ask/").ok_or_else(|| Error::not_found("Not Found"))?;
        let body = body.collect().await.map_err(|e| Error::invalid_arg(e.to_string()))?.to_bytes();
        let mut question = Question { numbers: decode(&String::from_utf8_lossy(&body))? };
        let accepted = self.0.accept(name, None, ONE).await?;
        // One call has it traced and logged, as far as the server does either.
        let record = head.extensions.get();
        *observed = self.0.observe(name, record, |header| head.headers.get(header)?.to_str().ok());
        let accepted = accepted.of(observed.origin(None));
        let Running { model, responses, mut outputs } =
            accepted.submit(&*self.0, &mut question, Then::Wait)?;
        let mut answer = String::new();
        outputs.deliver(&model, responses.only().await?.outputs, |output| {
            // Only outputs in shared memory have no data, and this protocol does not request these.
            let data = output.data.unwrap_or_default();
            answer += &encode(&data.to_host()?);
            Ok(())
        })?;
        Ok(answer)
    }
}

/// This protocol returns one response; models that send several are refused with this text.
const ONE: Responses = Responses::One { refusal: "/ask is for models that answer once" };

struct Question {
    numbers: Bytes,
}

impl IncomingRequest for Question {
    fn sequence(&self) -> Option<&Sequence> {
        None
    }

    fn decode<'a>(
        &'a mut self,
        _: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        Ok(InferRequest::new(smallvec![InferInput {
            name: "INPUT0",
            data_type: Some(DataType::Fp32),
            shape: [self.numbers.len() as i64 / 4].into_iter().collect(),
            data: std::mem::take(&mut self.numbers).into(),
        }]))
    }
}

fn decode(text: &str) -> Result<Bytes> {
    let number = |word: &str| {
        word.parse::<f32>().map_err(|e| Error::invalid_arg(format!("expected a number, got '{word}': {e}")))
    };
    let numbers = text.split_whitespace().map(number).collect::<Result<Vec<f32>>>()?;
    Ok(numbers.into_iter().flat_map(f32::to_le_bytes).collect())
}

fn encode(numbers: &[u8]) -> String {
    let (numbers, _) = numbers.as_chunks::<4>();
    numbers.iter().map(|&n| f32::from_le_bytes(n).to_string()).collect::<Vec<_>>().join(" ")
}

#[tokio::main]
async fn main() {
    let repository = Repository::default().with("echo", &identity_config(0, ""));
    let server = TestServer::start(repository).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let port = Port { name: "ask", http1: true, http2: Http2::default(), counted: true };
    let (network, core) = (Arc::clone(&server.network), Arc::clone(&server.core));
    let serving = tokio::spawn(hippocamp_net::serve(listener, network, port, Ask(core)));

    let reply = send(address, "POST", "/ask/echo", &[], b"1 2.5 -3").await;
    println!("{}", reply.text());
    assert_eq!((reply.status, reply.text().as_str()), (200, "1 2.5 -3"));
    let reply = send(address, "POST", "/ask/nobody", &[], b"1").await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(server.stop(std::time::Duration::from_secs(10)).await);
    serving.await.expect("it ends with the network");
}

#[test]
fn runs() {
    main();
}
