//! Asks of each call whether its client may make it: by its path and metadata before the message is read, and once more by the
//! model that the message names.

use hippocamp_access::{Access, Category, Denial, DenialKind, Grant, Right};
use tonic::codegen::http::Request;
use tonic::codegen::http::header::HeaderValue;
use tonic::{Extensions, Status};

/// The category of a call, and the right that it takes, by its path. Calls that are not listed take the role `admin` for
/// everything, if there are tokens at all.
fn asked(path: &str) -> Option<(Category, Right)> {
    let Some(call) = path.strip_prefix("/inference.GRPCInferenceService/") else {
        return match path {
            "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" => {
                Some((Category::Health, Right::Probe))
            }
            _ if path.starts_with("/grpc.reflection.") => Some((Category::Metadata, Right::See)),
            _ => None,
        };
    };
    Some(match call {
        "ServerLive" | "ServerReady" => (Category::Health, Right::Probe),
        "ModelReady" => (Category::Health, Right::See),
        "ServerMetadata" | "ModelMetadata" => (Category::Metadata, Right::See),
        "ModelInfer" | "ModelStreamInfer" => (Category::Inference, Right::Infer),
        "ModelConfig" => (Category::ModelConfig, Right::See),
        "ModelStatistics" => (Category::Statistics, Right::Read),
        "RepositoryIndex" => (Category::ModelRepository, Right::Read),
        "RepositoryModelLoad" | "RepositoryModelUnload" => (Category::ModelRepository, Right::Admin),
        "SystemSharedMemoryStatus"
        | "SystemSharedMemoryRegister"
        | "SystemSharedMemoryUnregister"
        | "CudaSharedMemoryStatus"
        | "CudaSharedMemoryRegister"
        | "CudaSharedMemoryUnregister" => (Category::SharedMemory, Right::Admin),
        // Who may change a setting is asked when the message says whether it does.
        "TraceSetting" => (Category::Trace, Right::Read),
        "LogSettings" => (Category::Logging, Right::Read),
        _ => return None,
    })
}

/// Checks a call by its head, and leaves the grant with the request for the check of its model.
pub(crate) fn check<B>(access: &Access, request: &mut Request<B>) -> Result<(), Status> {
    let asked = asked(request.uri().path());
    let headers = request.headers();
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let grant = match asked {
        Some((category, right)) => access.check(category, right, header),
        None => access.check_uncategorized(Right::Admin, header),
    };
    let grant = grant.map_err(|denial| denied(&denial))?;
    if asked.is_none_or(|(category, _)| category == Category::SharedMemory) {
        grant.server().map_err(|denial| denied(&denial))?;
    }
    if !grant.is_all() {
        request.extensions_mut().insert(grant);
    }
    Ok(())
}

/// The grant of a checked call.
pub(crate) fn grant(extensions: &Extensions) -> Grant {
    extensions.get::<Grant>().cloned().unwrap_or(Grant::all())
}

/// Checks the model that the message of a call names.
pub(crate) fn model(extensions: &Extensions, name: &str) -> Result<(), Status> {
    match extensions.get::<Grant>() {
        None => Ok(()),
        Some(grant) => grant.model(name).map_err(|denial| denied(&denial)),
    }
}

/// Checks a call that reads or changes settings of a model or, without a name, of the server.
pub(crate) fn setting(extensions: &Extensions, changes: bool, model: &str) -> Result<(), Status> {
    let Some(grant) = extensions.get::<Grant>() else { return Ok(()) };
    let grant = grant.asking(if changes { Right::Admin } else { Right::Read });
    let checked = if model.is_empty() { grant.server() } else { grant.model(model) };
    checked.map_err(|denial| denied(&denial))
}

/// The status of a call that its client may not make.
#[cold]
pub(crate) fn denied(denial: &Denial) -> Status {
    let text = denial.to_string();
    match denial.kind() {
        DenialKind::Restricted => Status::unavailable(text),
        DenialKind::Unauthenticated => Status::unauthenticated(text),
        DenialKind::Forbidden => Status::permission_denied(text),
    }
}
