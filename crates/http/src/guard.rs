//! Asks of each request whether its client may make it, before anything else is done about it.

use hippocamp_access::{Access, Category, Denial, DenialKind, Grant, Right};
use hyper::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};

use crate::response::{self, ResponseBody};
use crate::router::{MemoryAction, ModelAction, Route};

/// The ways to send a token.
const SCHEMES: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"hippocamp\", Basic realm=\"hippocamp\"");

/// The category of what is asked for, and the right that it takes.
fn asked(route: &Route<'_>, method: &Method) -> (Category, Right) {
    let changed = || if method == Method::GET { Right::Read } else { Right::Admin };
    match route {
        Route::Live | Route::Ready => (Category::Health, Right::Probe),
        Route::ServerMetadata | Route::OpenApi => (Category::Metadata, Right::See),
        Route::AllStatistics => (Category::Statistics, Right::Read),
        Route::Model(_, action) => match action {
            ModelAction::Ready => (Category::Health, Right::See),
            ModelAction::Metadata => (Category::Metadata, Right::See),
            ModelAction::Config => (Category::ModelConfig, Right::See),
            ModelAction::Statistics => (Category::Statistics, Right::Read),
            ModelAction::TraceSetting => (Category::Trace, changed()),
            ModelAction::Infer | ModelAction::Generate | ModelAction::GenerateStream => {
                (Category::Inference, Right::Infer)
            }
        },
        Route::Index => (Category::ModelRepository, Right::Read),
        Route::Control { .. } => (Category::ModelRepository, Right::Admin),
        Route::SharedMemory { .. } => (Category::SharedMemory, Right::Admin),
        Route::Logging => (Category::Logging, changed()),
        Route::TraceSetting => (Category::Trace, changed()),
    }
}

/// Checks a request by its head. The grant is for filtering lists; the model of the path, if it has one, is checked here.
pub(crate) fn check(
    access: &Access,
    route: &Route<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Grant, Denial> {
    if access.is_open() {
        return Ok(Grant::all());
    }
    let (category, right) = asked(route, method);
    let grant = access.check(category, right, |name| headers.get(name).map(HeaderValue::as_bytes))?;
    match route {
        Route::Model(path, _) => grant.model(&path.name)?,
        Route::Control { model, .. } => grant.model(model)?,
        Route::SharedMemory { action, .. } => match action {
            MemoryAction::Status | MemoryAction::Register | MemoryAction::Unregister => grant.server()?,
        },
        Route::Logging | Route::TraceSetting => grant.server()?,
        Route::ServerMetadata
        | Route::OpenApi
        | Route::Live
        | Route::Ready
        | Route::AllStatistics
        | Route::Index => {}
    }
    Ok(grant)
}

/// The answer to a request that its client may not make.
#[cold]
pub(crate) fn denied(denial: &Denial) -> Response<ResponseBody> {
    let kind = denial.kind();
    let status = match kind {
        DenialKind::Restricted | DenialKind::Forbidden => StatusCode::FORBIDDEN,
        DenialKind::Unauthenticated => StatusCode::UNAUTHORIZED,
    };
    let mut response = response::failed(status, &denial.to_string());
    if kind == DenialKind::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, SCHEMES);
    }
    response
}
