//! Limits on the parameters and tensors of one request, for all protocols.

use hippocamp_backend::{Error, Result};

/// The highest number of parameters of a request.
const MAX_PARAMETERS: usize = 1024;

/// The highest number of inputs, and of outputs, in a request. No model has so many.
const MAX_TENSORS: usize = 4096;

/// Returns an error if a request has too many parameters.
pub fn check_parameter_count(count: usize) -> Result<()> {
    if count > MAX_PARAMETERS {
        return Err(Error::invalid_arg(format!("a request has at most {MAX_PARAMETERS} parameters")));
    }
    Ok(())
}

/// Returns an error if a request lists too many inputs or outputs; `what` names them in the message.
pub fn check_tensor_count(count: usize, what: &str) -> Result<()> {
    if count > MAX_TENSORS {
        return Err(Error::invalid_arg(format!("a request has at most {MAX_TENSORS} {what}")));
    }
    Ok(())
}
