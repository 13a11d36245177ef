//! Errors as clients of TorchServe's gRPC know them.

use hippocamp_grpc_content::error_text;
use hippocamp_torchserve::Failure;
use tonic::{Code, Status};

/// The status of a call of management.
pub(crate) fn of_management(failure: &Failure) -> Status {
    let code = match failure.status {
        400 => Code::InvalidArgument,
        403 | 405 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        503 => Code::Unavailable,
        _ => Code::Internal,
    };
    if failure.kind == "InvalidKeyException" {
        return Status::permission_denied(text(failure));
    }
    Status::new(code, text(failure))
}

/// The status of a prediction: TorchServe says INTERNAL of whatever it is that keeps a request from its model.
pub(crate) fn of_prediction(failure: &Failure) -> Status {
    let code = match (failure.status, failure.kind) {
        (400, "InvalidKeyException") => Code::PermissionDenied,
        (400, _) => Code::InvalidArgument,
        (503, "ServiceUnavailableException") if !failure.message.contains("has no worker") => {
            Code::Unavailable
        }
        _ => Code::Internal,
    };
    Status::new(code, text(failure))
}

/// The message, and in a second line the exception.
fn text(failure: &Failure) -> String {
    let exception = match failure.kind {
        kind @ ("ModelNotFoundException" | "ModelVersionNotFoundException") => {
            format!("org.pytorch.serve.archive.model.{kind}")
        }
        "ServiceUnavailableException" => "InternalServerException.()".to_owned(),
        kind => format!("{kind}.()"),
    };
    // The exception follows the message, and must not be what is cut.
    format!("{}\n{exception}", error_text(&failure.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_torchserve() {
        let status = of_prediction(&Failure::no_model("nope"));
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(
            status.message(),
            "Model not found: nope\norg.pytorch.serve.archive.model.ModelNotFoundException"
        );
        let status = of_management(&Failure::bad_request("Parameter url is required."));
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "Parameter url is required.\nBadRequestException.()")
        );
        assert_eq!(of_management(&Failure::no_token()).code(), Code::PermissionDenied);
        let long = of_prediction(&Failure::no_model(&"ü".repeat(10_000)));
        let end = "ü...\norg.pytorch.serve.archive.model.ModelNotFoundException";
        assert!(long.message().len() < 2048 && long.message().ends_with(end));
        assert_eq!(of_prediction(&Failure::unavailable("the queue is full")).code(), Code::Unavailable);
    }
}
