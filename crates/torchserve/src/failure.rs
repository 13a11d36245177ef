//! Errors as clients of TorchServe know them: status, type and text.

use hippocamp_archive_repository::RegisterFault;
use hippocamp_backend::{Code, Error};
use hippocamp_download::DownloadFault;

/// How the server's text of a model that is unknown or not loaded begins.
const UNKNOWN_MODEL: &str = "Request for unknown model";

/// An error of TorchServe's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of HTTP.
    pub status: u16,
    /// The name of TorchServe's exception.
    pub kind: &'static str,
    /// The text.
    pub message: String,
}

impl Failure {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, kind, message: message.into() }
    }

    /// A request that is wrong.
    #[cold]
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequestException", message)
    }

    /// No path leads there.
    #[cold]
    pub fn no_resource() -> Failure {
        let text = "Requested resource is not found, please refer to API document.";
        Failure::new(404, "ResourceNotFoundException", text)
    }

    /// Workflows are not served.
    #[cold]
    pub fn no_workflows() -> Failure {
        let text = "Workflows are not served: their functions are Python. Register the models by themselves; an ensemble runs models \
                    one after the other (docs/ensembles.md)";
        Failure::new(404, "WorkflowNotFoundException", text)
    }

    /// The path is there, but not by that method, or not on this server.
    #[cold]
    pub fn method_not_allowed() -> Failure {
        let text = "Requested method is not allowed, please refer to API document.";
        Failure::new(405, "MethodNotAllowedException", text)
    }

    /// There is no such model.
    #[cold]
    pub fn no_model(name: &str) -> Failure {
        Failure::new(404, "ModelNotFoundException", format!("Model not found: {name}"))
    }

    /// The model has no such version.
    #[cold]
    pub fn no_version(name: &str, version: &str) -> Failure {
        let text = format!("Model version: {version} does not exist for model: {name}");
        Failure::new(404, "ModelVersionNotFoundException", text)
    }

    /// The same, as a change of the default version says it.
    #[cold]
    pub(crate) fn no_default(name: &str, version: &str) -> Failure {
        let text = format!("Model version {version} does not exist for model {name}");
        Failure::new(404, "ModelVersionNotFoundException", text)
    }

    /// The model is registered and not loaded.
    #[cold]
    pub(crate) fn no_worker(name: &str, version: Option<&str>) -> Failure {
        let version = version.map_or_else(String::new, |version| format!("\" Version {version}"));
        let text = format!(
            "Model \"{name}{version}\" has no worker to serve inference request. Please use scale workers API to add \
             workers. If this is a sequence inference, please check if it is closed, or expired; or exceeds \
             maxSequenceJobQueueSize"
        );
        Failure::new(503, "ServiceUnavailableException", text)
    }

    /// The default version cannot be removed while there are others.
    #[cold]
    pub(crate) fn is_default(name: &str) -> Failure {
        let text = format!("Cannot remove default version for model {name}");
        Failure::new(403, "InvalidModelVersionException", text)
    }

    /// Why an archive was not fetched.
    #[cold]
    pub(crate) fn of_download(fault: &DownloadFault) -> Failure {
        let text = fault.to_string();
        match fault {
            DownloadFault::NotAllowed(_) => Failure::new(404, "ModelNotFoundException", text),
            DownloadFault::Busy => Failure::unavailable(text),
            DownloadFault::Failed { .. } => Failure::new(400, "DownloadArchiveException", text),
            DownloadFault::Exists(_) | DownloadFault::NotSaved { .. } => Failure::internal(text),
        }
    }

    /// There is no folder to fetch archives into.
    #[cold]
    pub(crate) fn no_store() -> Failure {
        let text = "Model store has not been configured: an archive is fetched into the first folder of --model-store";
        Failure::new(404, "ModelNotFoundException", text)
    }

    /// The token is missing, wrong or too old.
    #[cold]
    pub fn no_token() -> Failure {
        let text = "Token Authorization failed. Token either incorrect, expired, or not provided correctly";
        Failure::new(400, "InvalidKeyException", text)
    }

    /// The client may not make the call.
    #[cold]
    pub fn forbidden(message: impl Into<String>) -> Failure {
        Failure::new(403, "InvalidKeyException", message)
    }

    /// A model that was registered could not be loaded.
    #[cold]
    pub(crate) fn no_start(name: &str, version: &str, why: &str) -> Failure {
        let text = format!("Failed to start workers for model {name} version: {version}: {why}");
        Failure::new(500, "InternalServerException", text)
    }

    /// The server has no time or no room.
    #[cold]
    pub fn unavailable(message: impl Into<String>) -> Failure {
        Failure::new(503, "ServiceUnavailableException", message)
    }

    /// Something went wrong here.
    #[cold]
    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(500, "InternalServerException", message)
    }

    /// The failure of a prediction by the server's error.
    #[cold]
    pub(crate) fn of_prediction(model: &str, error: &Error) -> Failure {
        let message = error.message();
        if message.starts_with(UNKNOWN_MODEL) {
            return Failure::no_model(model);
        }
        match error.code() {
            Code::InvalidArg | Code::Unsupported | Code::AlreadyExists => Failure::bad_request(message),
            Code::NotFound => Failure::new(404, "ModelNotFoundException", message),
            Code::Unavailable => Failure::unavailable(message),
            Code::Internal => Failure::new(503, "InternalServerException", message),
            Code::Unknown | Code::Cancelled => Failure::internal(message),
        }
    }

    /// Why the client may not, or what is missing, of an archive.
    #[cold]
    pub(crate) fn of_registration(fault: &RegisterFault) -> Failure {
        let text = fault.to_string();
        match fault {
            RegisterFault::NotFound(_) | RegisterFault::Relative(_) => {
                Failure::new(404, "ModelNotFoundException", text)
            }
            RegisterFault::Duplicate { .. } | RegisterFault::Taken { .. } => {
                Failure::new(409, "ConflictStatusException", text)
            }
            RegisterFault::Archive(_) => Failure::new(400, "InvalidModelException", text),
        }
    }

    /// The body of an answer over HTTP.
    pub fn json(&self) -> String {
        /// In this order.
        #[derive(serde::Serialize)]
        struct Body<'a> {
            code: u16,
            r#type: &'a str,
            message: &'a str,
        }
        pretty(&Body { code: self.status, r#type: self.kind, message: &self.message })
    }
}

/// JSON as TorchServe writes it: two spaces a level, and a line's end.
pub(crate) fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
