//! Errors of v2 over HTTP: the status of a code, and the JSON that tells of it.

use hippocamp_backend::{Code, Error};
use hippocamp_http_content::json::JsonWriter;
use hyper::{Response, StatusCode};

pub use hippocamp_http_content::ResponseBody;
pub(crate) use hippocamp_http_content::{JSON, empty, json_response as json, ok};

/// `{"error": ...}`, which is what clients look for.
#[cold]
pub(crate) fn error_json(message: &str) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("error");
    writer.string(message.as_bytes());
    writer.close_object();
    writer.into_bytes()
}

/// A status, and the reason in the body.
#[cold]
pub(crate) fn failed(status: StatusCode, message: &str) -> Response<ResponseBody> {
    let mut response = json(error_json(message));
    *response.status_mut() = status;
    response
}

/// The status of the error's code.
pub(crate) fn status(error: &Error) -> StatusCode {
    match error.code() {
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::Unknown | Code::InvalidArg | Code::AlreadyExists | Code::Cancelled => StatusCode::BAD_REQUEST,
    }
}

/// The error under the status of its code.
#[cold]
pub(crate) fn error(error: &Error) -> Response<ResponseBody> {
    failed(status(error), error.message())
}
