//! The shared memory extensions, as far as clients call them without wanting any: nothing is registered, so the status
//! is empty and there is nothing to unregister.

use tonic::Status;

/// What registering answers.
#[cold]
pub(crate) fn refused() -> Status {
    Status::unimplemented("Client shared memory is disabled: this server does not support it yet.")
}

/// The status of a region that is asked for by name: there is none.
pub(crate) fn no_region(kind: &str, name: &str) -> Result<(), Status> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Status::not_found(format!("Unable to find {kind} shared memory region: '{name}'")))
}
