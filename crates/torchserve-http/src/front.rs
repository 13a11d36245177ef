//! The front: hands a request to what answers its path.

use std::borrow::Cow;
use std::sync::Arc;

use hippocamp_access::{Access, Category, Denial, Right};
use hippocamp_http_content::{ResponseBody, Unread};
use hippocamp_net::{Front, Refusal, RequestBody};
use hippocamp_torchserve::{Failure, TokenKind, TorchServe};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::request;
use hyper::{HeaderMap, Method, Request, Response};

use crate::query::Query;
use crate::router::{self, Inference, Management};
use crate::{answer, inference, management, openapi};

/// Which of TorchServe's APIs a port serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Predictions and health.
    pub inference: bool,
    /// Registering and describing models.
    pub management: bool,
    /// The metrics.
    pub metrics: bool,
}

/// Answers the requests of a port. Holds nothing of any connection.
#[derive(Debug)]
pub struct TorchServeHttpFront {
    pub(crate) torchserve: Arc<TorchServe>,
    parts: Parts,
    /// Who may make which call.
    access: Access,
}

impl TorchServeHttpFront {
    /// These parts of TorchServe's API, for clients that `access` admits.
    pub fn new(torchserve: Arc<TorchServe>, parts: Parts, access: Access) -> TorchServeHttpFront {
        TorchServeHttpFront { torchserve, parts, access }
    }

    /// Whether a client may ask that model.
    pub(crate) fn may_infer(&self, headers: &HeaderMap, model: &str) -> Result<(), Failure> {
        if self.access.is_open() {
            return Ok(());
        }
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let grant = self.access.check(Category::Inference, Right::Infer, header);
        grant.and_then(|grant| grant.model(model)).map_err(|denial| denied(&denial))
    }

    /// Whether a client may see and change the models.
    fn may_manage(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.access.is_open() {
            return Ok(());
        }
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let grant = self.access.check(Category::ModelRepository, Right::Admin, header);
        grant.and_then(|grant| grant.server()).map_err(|denial| denied(&denial))
    }

    async fn answer(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let body = Unread::new(&head.headers, body);
        match self.route(&head, body).await {
            Ok(response) => response,
            Err(failure) => answer::failure(&failure),
        }
    }

    /// In the order in which TorchServe looks at a request.
    async fn route(
        &self,
        head: &request::Parts,
        body: Unread<RequestBody>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let path = head.uri.path();
        let described = Described::of(&head.method, path, self.parts);
        if described == Some(Described::Port) {
            body.discard().await;
            return Ok(answer::json(200, openapi::description(self.parts)));
        }
        if self.torchserve.wants_tokens()
            && let Err(failure) = self.check_token(head)
        {
            body.discard().await;
            return Err(failure);
        }
        if let Some(described) = described {
            body.discard().await;
            return self.describe_model(head, &described).await;
        }
        if self.parts.inference
            && let Some(call) = router::inference(path)
        {
            return inference::answer(self, head, call, body).await;
        }
        if self.parts.management
            && let Some(call) = router::management(&head.method, path)
        {
            if let Err(failure) = self.may_manage(&head.headers) {
                body.discard().await;
                return Err(failure);
            }
            return management::answer(&self.torchserve, head, call, body).await;
        }
        body.discard().await;
        if self.parts.metrics && path == "/metrics" {
            let header = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
            self.access.check_metrics(header).map_err(|denial| denied(&denial))?;
            let names = Query::of(head.uri.query()).all("name[]");
            return Ok(answer::metrics(self.torchserve.metrics(&names)));
        }
        let begin = path.trim_start_matches('/').split('/').next();
        let is_of_workflows = matches!(begin, Some("workflows" | "wfpredict"));
        Err(if is_of_workflows { Failure::no_workflows() } else { Failure::no_resource() })
    }

    /// The description of one model, for who may ask it or manage it.
    async fn describe_model(
        &self,
        head: &request::Parts,
        described: &Described<'_>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let model = match described {
            Described::Port => return Err(Failure::no_resource()),
            Described::Predicted(model) => {
                self.may_infer(&head.headers, model)?;
                model
            }
            Described::Managed(model) => {
                self.may_manage(&head.headers)?;
                model
            }
        };
        self.torchserve.describe(model, None).await?;
        Ok(answer::json(200, openapi::of_model(model)))
    }

    fn check_token(&self, head: &request::Parts) -> Result<(), Failure> {
        let path = head.uri.path();
        // The metrics need none where they have a port of their own, and on that of management only they need none.
        let is_metrics = !self.parts.management || path == "/metrics";
        if self.parts.metrics && !self.parts.inference && is_metrics {
            return Ok(());
        }
        // Whoever renews a token shows another key.
        if self.parts.management && matches!(router::management(&head.method, path), Some(Management::Token))
        {
            return Ok(());
        }
        let is_inference = self.parts.inference && router::inference(path).is_some();
        let kind =
            if is_inference || !self.parts.management { TokenKind::Inference } else { TokenKind::Management };
        self.torchserve.check_token(kind, authorization(&head.headers))
    }
}

/// What a request asks a description in `OpenAPI` of.
#[derive(Debug, PartialEq, Eq)]
enum Described<'a> {
    /// What the port serves, which is no secret.
    Port,
    /// A model, on a port of predictions.
    Predicted(Cow<'a, str>),
    /// A model, on a port of management.
    Managed(Cow<'a, str>),
}

impl<'a> Described<'a> {
    fn of(method: &Method, path: &'a str, parts: Parts) -> Option<Described<'a>> {
        if *method != Method::OPTIONS {
            return (path == "/api-description").then_some(Described::Port);
        }
        if parts.inference
            && let Some(Inference::Predict { model, .. }) = router::inference(path)
        {
            return Some(Described::Predicted(model));
        }
        match router::management(&Method::GET, path) {
            Some(Management::Describe { model, .. }) if parts.management => Some(Described::Managed(model)),
            _ => Some(Described::Port),
        }
    }
}

#[cold]
fn denied(denial: &Denial) -> Failure {
    Failure::forbidden(denial.to_string())
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

impl Front for TorchServeHttpFront {
    type Body = ResponseBody;

    async fn respond(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let response = self.answer(request).await;
        self.torchserve.answered(response.status().as_u16());
        response
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<ResponseBody>> {
        let path = request.uri().path();
        (path != "/ping" && path != "/metrics")
            .then(|| answer::failure(&Failure::unavailable(why.to_string())))
    }
}
