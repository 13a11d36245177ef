//! The border between backends and the host: what comes over it is checked, and no panic leaves.

mod enums;
mod handle;
mod pointers;
mod registry;
mod typed;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hippocamp_backend::{Code, Error, Result};

pub(crate) use enums::{
    Flag, InstanceKind, LogLevel, MemoryType, MetricKind, ParameterType, code_from_number, code_number,
    data_type_from_number, data_type_number,
};
pub(crate) use handle::{Handle, Kind, MAX_PARTS};
pub(crate) use pointers::{InOut, Out, Text, address, bytes, list, text};
pub(crate) use registry::{Owned, Registry, Use};
pub(crate) use typed::{Object, Ref, own, wrong};

use crate::objects::ErrorObject;

/// What most functions return: NULL, or an error that belongs to the caller.
pub(crate) type Returned = Ref<ErrorObject>;

/// Runs the body of a function of the interface. An error gets an error object; so does a panic, which does not leave.
pub(crate) fn call(function: &'static str, body: impl FnOnce() -> Result<()>) -> Returned {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Returned::NULL,
        Ok(Err(error)) => returned(function, error),
        Err(panic) => returned(function, panicked(function, &*panic)),
    }
}

/// Runs the body of a function that returns a value and cannot report an error: `otherwise` is returned instead, and the
/// error is logged.
pub(crate) fn call_for<T>(function: &'static str, otherwise: T, body: impl FnOnce() -> Result<T>) -> T {
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(error)) => error,
        Err(panic) => panicked(function, &*panic),
    };
    tracing::error!("{function}: {}", error.message());
    otherwise
}

/// An error that says that the caller broke the rules of the interface. The name of the function is put before it.
#[cold]
pub(crate) fn misuse(message: impl Into<String>) -> Error {
    Error::invalid_arg(message.into()).with_source(Misuse)
}

/// Marks errors about how a function was called, which only its programmer can do something about.
#[derive(Debug, thiserror::Error)]
#[error("the interface of backends was not used as it should")]
struct Misuse;

#[cold]
fn returned(function: &'static str, error: Error) -> Returned {
    use std::error::Error as _;

    let error = if error.source().is_some_and(<dyn std::error::Error>::is::<Misuse>) {
        tracing::debug!("{function}: {}", error.message());
        let message = format!("{function}: {}", error.message());
        error.with_message(message)
    } else {
        error
    };
    ErrorObject::handle_of(&error)
}

#[cold]
fn panicked(function: &str, panic: &(dyn Any + Send)) -> Error {
    let why = panic.downcast_ref::<&str>().copied();
    let why = why.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!("{function} panicked: {why}");
    Error::new(Code::Internal, format!("{function} panicked: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_become_error_objects() {
        assert!(call("TRITONSERVER_X", || Ok(())).is_null());
        let error = call("TRITONSERVER_X", || Err(misuse("'count' is NULL"))).into_result().unwrap_err();
        assert_eq!(error.reason(), "Invalid argument: TRITONSERVER_X: 'count' is NULL");
        let error = call("TRITONSERVER_X", || Err(Error::not_found("no model"))).into_result().unwrap_err();
        assert_eq!(error.reason(), "Not found: no model");
        let error = call("TRITONSERVER_X", || panic!("ouch")).into_result().unwrap_err();
        assert_eq!(error.reason(), "Internal: TRITONSERVER_X panicked: ouch");
        assert_eq!(call_for("TRITONSERVER_X", 7, || panic!("ouch")), 7);
    }
}
