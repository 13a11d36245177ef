//! Giving requests back.

use hippocamp_backend::Error;

use super::RequestObject;
use crate::border::{Flag, Ref, Returned, call, misuse};

/// With the flag RESCHEDULE the request is executed again; without, the backend is done with it.
pub(crate) extern "C" fn release(request: Ref<RequestObject>, flags: u32) -> Returned {
    call("TRITONBACKEND_RequestRelease", || {
        match flags {
            Flag::RELEASE_ALL => {
                let request = request.remove()?;
                request.channel.release();
                request.released(None);
            }
            Flag::RELEASE_RESCHEDULE => {
                {
                    let request = request.get()?;
                    if request.again.is_none() {
                        return Err(Error::invalid_arg(format!(
                            "model '{}' cannot execute a request again: its config has no iterative_sequence",
                            request.names.model()
                        )));
                    }
                }
                let request = request.remove()?;
                let again = request.reschedule();
                request.released(again);
            }
            _ => return Err(misuse(format!("'release_flags' is {flags}, expected 1 or 2"))),
        }
        Ok(())
    })
}
