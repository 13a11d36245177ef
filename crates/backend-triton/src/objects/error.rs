//! Errors: a code and a message.

use std::ffi::{CStr, CString, c_char};

use hippocamp_backend::{Code, Error, Result};

use crate::border::{
    Kind, Object, Ref, Registry, Returned, Text, address, call_for, code_from_number, code_number, text,
};

/// An error on its way over the border. The receiver deletes it.
#[derive(Debug)]
pub(crate) struct ErrorObject {
    code: Code,
    message: CString,
}

impl Object for ErrorObject {
    const KIND: Kind = Kind::Error;

    fn registry() -> &'static Registry<Self> {
        static ERRORS: Registry<ErrorObject> = Registry::new(Kind::Error);
        &ERRORS
    }
}

impl ErrorObject {
    fn new(error: &Error) -> ErrorObject {
        ErrorObject { code: error.code(), message: text(error.message()) }
    }

    /// A new error object for a backend.
    pub(crate) fn handle_of(error: &Error) -> Returned {
        // So many errors that no other has a place: a backend keeps them all. It is told of the last one instead of nothing.
        Ref::new(ErrorObject::new(error)).unwrap_or_else(|_| {
            tracing::error!("a backend never deletes errors: {}", error.message());
            Ref::of(crate::border::Handle::new(Kind::Error, 0, 0, 0))
        })
    }

    /// The same error for the host.
    pub(crate) fn error(&self) -> Error {
        Error::new(self.code, self.message.to_string_lossy().into_owned())
    }
}

impl Returned {
    /// What a function of a backend returned. The error object is deleted.
    pub(crate) fn into_result(self) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        match self.remove() {
            Ok(error) => Err(error.error()),
            Err(_) => Err(Error::internal("the backend returned an error that is none, or that was deleted")),
        }
    }

    /// The error that a backend passed to a function, which keeps it; `None` for NULL.
    pub(crate) fn lent(self) -> Result<Option<Error>> {
        if self.is_null() { Ok(None) } else { Ok(Some(self.get()?.error())) }
    }
}

pub(crate) extern "C" fn new(code: u32, message: Text) -> Returned {
    call_for("TRITONSERVER_ErrorNew", Returned::NULL, || {
        let message = text(&message.read_lossy());
        Ref::new(ErrorObject { code: code_from_number(code), message })
    })
}

pub(crate) extern "C" fn delete(error: Returned) {
    call_for("TRITONSERVER_ErrorDelete", (), || error.remove_unless_null());
}

pub(crate) extern "C" fn code(error: Returned) -> u32 {
    let otherwise = code_number(Code::Unknown);
    call_for("TRITONSERVER_ErrorCode", otherwise, || Ok(code_number(error.get()?.code)))
}

pub(crate) extern "C" fn code_string(error: Returned) -> *const c_char {
    call_for("TRITONSERVER_ErrorCodeString", c"<invalid>".as_ptr(), || Ok(name(error.get()?.code).as_ptr()))
}

pub(crate) extern "C" fn message(error: Returned) -> *const c_char {
    call_for("TRITONSERVER_ErrorMessage", c"".as_ptr(), || Ok(address(&error.get()?.message)))
}

fn name(code: Code) -> &'static CStr {
    match code {
        Code::Unknown => c"Unknown",
        Code::Internal => c"Internal",
        Code::NotFound => c"Not found",
        Code::InvalidArg => c"Invalid argument",
        Code::Unavailable => c"Unavailable",
        Code::Unsupported => c"Unsupported",
        Code::AlreadyExists => c"Already exists",
        Code::Cancelled => c"Cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_as_in_the_index() {
        for number in 0..8 {
            let code = code_from_number(number);
            assert_eq!(name(code).to_str().unwrap(), code.name());
        }
    }

    #[test]
    fn what_was_deleted_is_no_error_any_more() {
        let error = ErrorObject::handle_of(&Error::not_found("gone"));
        assert_eq!(code(error), 2);
        assert_eq!(error.lent().unwrap().unwrap().reason(), "Not found: gone");
        delete(error);
        delete(error);
        delete(Returned::NULL);
        assert_eq!((code(error), error.lent().is_err()), (0, true));
        let result = error.into_result().unwrap_err();
        assert!(result.message().starts_with("the backend returned an error that is none"));
    }
}
