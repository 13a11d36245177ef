//! From errors to statuses of gRPC, and the text of a version to its number.

use hippocamp_backend::{Code, Error};
use hippocamp_grpc_content::error_text;
use tonic::Status;

/// The status that a client sees.
#[cold]
pub(crate) fn status(error: &Error) -> Status {
    Status::new(code(error.code()), error_text(error.message()))
}

/// The code of the status.
pub(crate) fn code(code: Code) -> tonic::Code {
    match code {
        Code::Cancelled => tonic::Code::Cancelled,
        Code::Unknown => tonic::Code::Unknown,
        Code::InvalidArg => tonic::Code::InvalidArgument,
        Code::NotFound => tonic::Code::NotFound,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::Unsupported => tonic::Code::Unimplemented,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
    }
}

/// A version as requests write it: a number, or nothing for the highest. No model has a version 0, which is found out where
/// versions are looked up, as in Triton.
pub(crate) fn version(text: &str) -> Result<Option<u64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "version should be an integral value > 0";
    match text.parse::<i64>() {
        Ok(version) if version >= 0 => Ok(Some(version.unsigned_abs())),
        Ok(_) => Err(Error::invalid_arg(format!("invalid model version specified '{text}' , {expected}"))),
        Err(_) => Err(Error::invalid_arg(format!(
            "failed to get model version from specified version string '{text}' (details: stol), {expected}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut() {
        let long = status(&Error::internal("ü".repeat(10_000)));
        assert!(long.message().ends_with("ü...") && long.message().len() < 2048);
        assert_eq!(status(&Error::not_found("short")).message(), "short");
    }

    #[test]
    fn a_version_is_a_number_or_nothing() {
        assert_eq!(version("").unwrap(), None);
        assert_eq!(version("3").unwrap(), Some(3));
        assert_eq!(version("0").unwrap(), Some(0));
        let text = |t: &str| version(t).unwrap_err().message().to_owned();
        assert_eq!(
            text("-1"),
            "invalid model version specified '-1' , version should be an integral value > 0"
        );
        assert_eq!(
            text("abc"),
            "failed to get model version from specified version string 'abc' (details: stol), version should be an \
             integral value > 0"
        );
        assert!(version("99999999999999999999").is_err());
    }
}
