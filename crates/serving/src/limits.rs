//! How much one request may list, over every protocol.

use hippocamp_backend::{Error, Result};

/// How many parameters a request may have.
const MAX_PARAMETERS: usize = 1024;

/// How many inputs, and how many outputs, a request may list. No model has as many.
const MAX_TENSORS: usize = 4096;

/// Refuses more parameters than a request may have.
pub fn check_parameter_count(count: usize) -> Result<()> {
    if count > MAX_PARAMETERS {
        return Err(Error::invalid_arg(format!("a request has at most {MAX_PARAMETERS} parameters")));
    }
    Ok(())
}

/// Refuses more inputs or outputs than a request may list; `what` says which of them.
pub fn check_tensor_count(count: usize, what: &str) -> Result<()> {
    if count > MAX_TENSORS {
        return Err(Error::invalid_arg(format!("a request has at most {MAX_TENSORS} {what}")));
    }
    Ok(())
}
