//! Converts errors of ONNX Runtime to Triton's form.

use hippocamp_backend::Error;
use ort::sys::OrtErrorCode;

/// The engine's message, preceded by its code: `onnx runtime error 2: ...`.
#[cold]
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn engine<R>(error: ort::Error<R>) -> Error {
    let code = OrtErrorCode::from(error.code()) as i32;
    Error::internal(format!("onnx runtime error {code}: {}", error.message()))
}
