//! The front of V1: hands a request to what answers its path.

use std::sync::Arc;

use hippocamp_access::{Access, Grant};
use hippocamp_backend::{Error, Result};
use hippocamp_core::HeaderForwarding;
use hippocamp_http_content::{ResponseBody, Unread};
use hippocamp_net::{Front, Mount, Network, Refusal, RequestBody, Source};
use hippocamp_proto::v1::{SharedMemoryRegion, SharedMemoryStatus};
use hippocamp_v1::{CallKind, V1};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response, StatusCode};

use crate::infer::{InferCall, infer};
use crate::response::{self, Format};
use crate::router::{self, NoRoute, Route};

/// What the paths of V1 begin with.
const PREFIX: &str = "/api/";

/// What is asked for under this is always answered.
const HEALTH: &str = "/api/health/";

/// The most bytes of a body that is no tensor: a handle of CUDA has 64.
const MAX_SMALL_BODY: usize = 1024;

/// Answers the requests of V1. Holds nothing of any connection.
#[derive(Debug)]
pub struct V1HttpFront {
    pub(crate) v1: Arc<V1>,
    access: Access,
    /// Which headers of inference become parameters of the request.
    pub(crate) forwarding: HeaderForwarding,
    /// The size in bytes above which tensors are copied on another thread.
    pub(crate) large_copy: usize,
}

impl V1HttpFront {
    /// V1 for clients that `access` admits. `forwarding` says which of their headers become parameters of the request.
    pub fn new(v1: Arc<V1>, network: &Network, access: Access, forwarding: HeaderForwarding) -> V1HttpFront {
        V1HttpFront { v1, access, forwarding, large_copy: network.large_copy() }
    }

    /// This protocol beside another one on the same port.
    pub fn beside<F>(self, others: F) -> Mount<V1HttpFront, F> {
        Mount { prefix: PREFIX, mounted: self, others }
    }

    async fn answer<B: Source>(&self, request: Request<B>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let body = Unread::new(&head.headers, body);
        let route = match router::find(&head.method, head.uri.path()) {
            Ok(route) => route,
            Err(no_route) => {
                body.discard().await;
                let status = match no_route {
                    NoRoute::Unknown => StatusCode::BAD_REQUEST,
                    NoRoute::Method => StatusCode::METHOD_NOT_ALLOWED,
                };
                return response::without_status(status, String::new());
            }
        };
        let format = Format::of(head.uri.query(), &head.headers);
        let grant = self.grant(kind(&route), &head.headers);
        if let Route::Infer { model, version } = &route {
            let call = InferCall { model, version: *version, format, grant };
            return infer(self, &head, call, body).await;
        }
        self.control(route, format, grant, body).await
    }

    fn grant(&self, kind: Option<CallKind>, headers: &HeaderMap) -> Result<Grant> {
        hippocamp_v1::check(&self.access, kind, |name| headers.get(name).map(HeaderValue::as_bytes))
    }

    /// Answers every call but inference.
    async fn control<B: Source>(
        &self,
        route: Route<'_>,
        format: Format,
        grant: Result<Grant>,
        body: Unread<B>,
    ) -> Response<ResponseBody> {
        let v1 = &self.v1;
        let call = v1.begin(kind(&route).unwrap_or(CallKind::Status));
        let grant = match grant {
            Ok(grant) => grant,
            Err(error) => {
                body.discard().await;
                return response::bare(&call.end::<()>(&Err(error)));
            }
        };
        let body =
            body.collect(MAX_SMALL_BODY, |_| Error::invalid_arg("the body is too large for this call"));
        let body = body.await.and_then(|mut body| Ok(body.take(usize::MAX).to_host()?));
        let done = match route {
            Route::Health(mode) => {
                let healthy = v1.health(mode);
                let mut response = response::bare(&call.end(&healthy));
                if !healthy.unwrap_or(false) {
                    *response.status_mut() = StatusCode::BAD_REQUEST;
                }
                return response;
            }
            Route::Status(model) => {
                let status = v1.server_status(&model, &grant).await;
                let done = call.end(&status);
                return match status {
                    Ok(status) => response::message(&done, "ServerStatus", &status, format),
                    Err(_) => response::bare(&done),
                };
            }
            Route::Index => {
                let index = v1.repository_index(&grant).await;
                let done = call.end(&index);
                return match index {
                    Ok(index) => response::message(&done, "ModelRepositoryIndex", &index, format),
                    Err(_) => response::bare(&done),
                };
            }
            Route::Regions => {
                let status = v1.regions().map(status_of);
                let done = call.end(&status);
                return match status {
                    Ok(status) => response::message(&done, "SharedMemoryStatus", &status, format),
                    Err(_) => response::bare(&done),
                };
            }
            Route::Load(model) => v1.load(&model, &grant).await,
            Route::Unload(model) => v1.unload(&model, &grant).await,
            Route::Register { region, key, offset, byte_size } => {
                v1.register(&region, &key, offset, byte_size)
            }
            Route::RegisterCuda { region, device_id, byte_size } => {
                body.and_then(|handle| v1.register_cuda(&region, &handle, device_id, byte_size))
            }
            Route::Unregister(region) => v1.unregister(&region),
            Route::UnregisterAll => v1.unregister_all(),
            // Answered before.
            Route::Infer { .. } => Ok(()),
        };
        response::bare(&call.end(&done))
    }
}

fn status_of(regions: Vec<SharedMemoryRegion>) -> SharedMemoryStatus {
    SharedMemoryStatus { shared_memory_region: regions }
}

/// The kind of a call; `None` for inference.
fn kind(route: &Route<'_>) -> Option<CallKind> {
    Some(match route {
        Route::Health(_) => CallKind::Health,
        Route::Status(_) => CallKind::Status,
        Route::Index => CallKind::Repository,
        Route::Load(_) | Route::Unload(_) => CallKind::ModelControl,
        Route::Register { .. }
        | Route::RegisterCuda { .. }
        | Route::Unregister(_)
        | Route::UnregisterAll
        | Route::Regions => CallKind::SharedMemoryControl,
        Route::Infer { .. } => return None,
    })
}

impl Front for V1HttpFront {
    type Body = ResponseBody;

    async fn respond(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        self.answer(request).await
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<ResponseBody>> {
        if request.uri().path().starts_with(HEALTH) {
            return None;
        }
        let error = hippocamp_v1::refusal(why);
        Some(response::bare(&self.v1.failure(self.v1.number(), &error)))
    }
}
