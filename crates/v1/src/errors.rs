//! Errors as clients of V1 know them: codes and texts.

use hippocamp_backend::{Code, Error};
use hippocamp_net::Refusal;
use hippocamp_proto::v1::RequestStatusCode;

/// How a text begins that names the request: clients of V1 know the request by its number.
const REQUEST_ID: &str = "[request id: ";

/// The longest text of an error in bytes. It travels in a header, and clients refuse headers of more than some kilobytes.
const LONGEST: usize = 4096;

/// The texts of unknown models, of versions that do not exist, and of models that are not ready.
const UNKNOWN_MODEL: &str = "Request for unknown model";

/// The code of an error.
pub(crate) fn code(code: Code) -> RequestStatusCode {
    match code {
        Code::Internal => RequestStatusCode::Internal,
        Code::NotFound => RequestStatusCode::NotFound,
        Code::InvalidArg => RequestStatusCode::InvalidArg,
        Code::Unavailable => RequestStatusCode::Unavailable,
        Code::Unsupported => RequestStatusCode::Unsupported,
        Code::AlreadyExists => RequestStatusCode::AlreadyExists,
        Code::Unknown | Code::Cancelled => RequestStatusCode::Unknown,
    }
}

/// The text of an error. Most of the server's texts are those of V1, except that V1 has no ids that are texts.
pub(crate) fn text(error: &Error) -> String {
    let text = error.message();
    let text =
        text.strip_prefix(REQUEST_ID).and_then(|rest| rest.split_once("] ")).map_or(text, |(_, rest)| rest);
    let end = text.floor_char_boundary(LONGEST);
    let rest = if end < text.len() { "..." } else { "" };
    text[..end].replace("a non-zero or non-empty correlation ID", "a non-zero correlation ID") + rest
}

/// The error of a request whose model was not found. V1 does not tell an unknown model from an unknown version or from one
/// that is not ready.
#[cold]
pub(crate) fn not_found(model: &str, error: Error) -> Error {
    if !error.message().starts_with(UNKNOWN_MODEL) {
        return error;
    }
    Error::unavailable(format!("Inference request for unknown model '{model}'"))
}

/// The error of a request that is refused before it is read.
#[cold]
pub fn refusal(why: Refusal) -> Error {
    match why {
        Refusal::Stopping => Error::unavailable("Server not ready"),
        why => Error::unavailable(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_no_ids_of_requests() {
        let of = |text: &'static str| text_of(&Error::invalid_arg(text));
        assert_eq!(of("[request id: <id_unknown>] no [x] here"), "no [x] here");
        assert_eq!(of("[request id: 7] text"), "text");
        assert_eq!(of("[request id: without an end"), "[request id: without an end");
        let v2 = "inference request to model 'm' must specify a non-zero or non-empty correlation ID";
        assert_eq!(of(v2), "inference request to model 'm' must specify a non-zero correlation ID");
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = text_of(&Error::internal("ü".repeat(10_000)));
        assert!(long.ends_with("ü...") && long.len() < LONGEST + 8);
    }

    fn text_of(error: &Error) -> String {
        text(error)
    }

    #[test]
    fn whatever_is_not_found_is_an_unknown_model() {
        for code in [Code::NotFound, Code::Unavailable] {
            let error = Error::new(code, "Request for unknown model: 'm' version 7 is not found");
            let error = not_found("m", error);
            assert_eq!(
                (error.code(), error.message()),
                (Code::Unavailable, "Inference request for unknown model 'm'")
            );
        }
        let other = not_found("m", Error::unavailable("there is no memory for model 'm'"));
        assert_eq!(other.message(), "there is no memory for model 'm'");
    }
}
