//! The front: the page and its questions by path, v2 where it is mounted, and everything else to the protocol of the port.

use std::sync::Arc;

use hippocamp_access::{Category, Denial, DenialKind, Grant, Right};
use hippocamp_backend::{Error, Result};
use hippocamp_http_content::json::JsonWriter;
use hippocamp_http_content::{AcceptedCoding, Coding, ResponseBody, ResponseCompression, json_response};
use hippocamp_net::{Front, Refusal, RequestBody};
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use crate::{Console, assets, model, query, series, site, state};

/// The console in front of another protocol.
#[derive(Debug)]
pub struct ConsoleFront<V, F> {
    /// `None` where there is no console: the other protocol has the port to itself. It is the same type then, as code is made for
    /// each type of a port's front.
    console: Option<Arc<Console>>,
    /// KServe v2, by which the page infers, loads and unloads. `None` where it may not.
    v2: Option<V>,
    /// The protocol that all other requests go to. `None` on a port that has nothing else.
    others: Option<F>,
    /// Whether the port is of the loopback, so that nobody but this machine has a name for it.
    is_local: bool,
}

/// The answers below this size are not compressed.
const SMALL: usize = 1024;

impl<V, F> ConsoleFront<V, F> {
    pub fn new(console: Option<Arc<Console>>, v2: Option<V>, others: Option<F>) -> ConsoleFront<V, F> {
        ConsoleFront { console, v2, others, is_local: false }
    }

    /// The same on a port of the loopback, if that is so: requests for other hosts than this one are refused then.
    #[must_use]
    pub fn of_this_machine(self, is_local: bool) -> ConsoleFront<V, F> {
        ConsoleFront { is_local, ..self }
    }

    /// The same with the protocol that all other requests go to.
    #[must_use]
    pub fn before(self, others: F) -> ConsoleFront<V, F> {
        ConsoleFront { others: Some(others), ..self }
    }
}

fn is_own(path: &str) -> bool {
    path == "/" || path.starts_with("/console/")
}

fn is_v2(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

impl<V, F> ConsoleFront<V, F>
where
    V: Front<Body = ResponseBody>,
    F: Front<Body = ResponseBody>,
{
    async fn answer(console: &Arc<Console>, head: &Parts) -> Response<ResponseBody> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return failed(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        }
        let path = head.uri.path();
        if let Some(asset) = assets::find(path) {
            return asset.respond(&head.headers);
        }
        let Some(question) = Question::of(path) else {
            return failed(StatusCode::NOT_FOUND, "Not Found");
        };
        let grant = match console.grant(&head.headers) {
            Ok(grant) => grant,
            Err(denial) => return denied(&denial),
        };
        let (console, uri) = (Arc::clone(console), head.uri.clone());
        let coding = AcceptedCoding::of(&head.headers, ResponseCompression::Auto).of_response(false);
        // It looks at the disk, and at every model.
        let answer = hippocamp_net::off_thread(true, move || {
            let json = question.answer(&console, &grant, uri.query())?;
            let coding = if json.len() < SMALL { Coding::Identity } else { coding };
            let failed = |error| Error::internal("the answer could not be compressed").with_source(error);
            Ok::<_, Error>(match coding {
                Coding::Identity => (json, coding),
                coding => (coding.compress(&[json.into()]).map_err(failed)?, coding),
            })
        });
        match answer.await {
            Ok(Ok((content, coding))) => {
                let mut response = json_response(content);
                let headers = response.headers_mut();
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                if coding != Coding::Identity {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                }
                response
            }
            Ok(Err(error)) => failed(StatusCode::NOT_FOUND, error.message()),
            Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR, "the console could not answer; see the log"),
        }
    }
}

/// What the page asks.
#[derive(Clone, Copy, Debug)]
enum Question {
    State,
    History,
    Model,
}

impl Question {
    fn of(path: &str) -> Option<Question> {
        match path {
            "/console/state" => Some(Question::State),
            "/console/history" => Some(Question::History),
            "/console/model" => Some(Question::Model),
            _ => None,
        }
    }

    fn answer(self, console: &Console, grant: &Grant, query: Option<&str>) -> Result<Vec<u8>> {
        let model = query::value(query, "model");
        if let Some(model) = &model {
            grant.model(model).map_err(|denial| Error::not_found(denial.to_string()))?;
        }
        let since = query::value(query, "since").and_then(|since| since.parse().ok()).unwrap_or(0);
        Ok(match (self, model.as_deref()) {
            (Question::State, _) => state::written(console, grant),
            (Question::History, None) => series::of_all(console, grant, since),
            (Question::History, Some(name)) => series::of_model(console, name, since),
            (Question::Model, Some(name)) => model::written(console, grant, name)?,
            (Question::Model, None) => return Err(Error::not_found("no model is named")),
        })
    }
}

impl Console {
    /// What the page shows is the index, statistics and configs, and so each of these has to be allowed.
    fn grant(&self, headers: &HeaderMap) -> Result<Grant, Denial> {
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let _ = self.access.check(Category::Statistics, Right::Read, header)?;
        let _ = self.access.check(Category::ModelConfig, Right::See, header)?;
        self.access.check(Category::ModelRepository, Right::Read, header)
    }
}

#[cold]
fn failed(status: StatusCode, message: &str) -> Response<ResponseBody> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("error");
    writer.string(message.as_bytes());
    writer.close_object();
    let mut response = json_response(writer.into_bytes());
    *response.status_mut() = status;
    response
}

#[cold]
fn denied(denial: &Denial) -> Response<ResponseBody> {
    if denial.kind() != DenialKind::Unauthenticated {
        return failed(StatusCode::FORBIDDEN, &denial.to_string());
    }
    let mut response = failed(StatusCode::UNAUTHORIZED, &denial.to_string());
    // No `Basic`, for which browsers would ask by themselves.
    let scheme = HeaderValue::from_static("Bearer realm=\"hippocamp\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

impl<V, F> Front for ConsoleFront<V, F>
where
    V: Front<Body = ResponseBody>,
    F: Front<Body = ResponseBody>,
{
    type Body = ResponseBody;

    async fn respond(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let is_ours = (self.console.is_some() && is_own(path)) || (self.v2.is_some() && is_v2(path));
        if is_ours && site::is_foreign(&request, self.is_local) {
            return failed(StatusCode::FORBIDDEN, "a page of another site may not use the console");
        }
        if let Some(console) = self.console.as_ref().filter(|_| is_own(path)) {
            let (head, _) = request.into_parts();
            return Self::answer(console, &head).await;
        }
        match (&self.v2, &self.others) {
            (Some(v2), _) if is_v2(path) => Box::pin(v2.respond(request)).await,
            (_, Some(others)) => others.respond(request).await,
            (_, None) => failed(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<ResponseBody>> {
        let path = request.uri().path();
        match (&self.v2, &self.others) {
            _ if is_own(path) && self.console.is_some() => None,
            (Some(v2), _) if is_v2(path) => v2.refuse(request, why),
            (_, Some(others)) => others.refuse(request, why),
            (_, None) => None,
        }
    }
}
