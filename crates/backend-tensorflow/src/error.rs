//! Errors of TensorFlow, and how they reach clients.

use hippocamp_backend::{Code, Error};
use hippocamp_engine_library::one_line;

/// What the library says of a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i32,
    /// On one line.
    pub(crate) message: String,
}

/// The library's codes, of which some decide something here.
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: i32 = 3;
    pub(crate) const NOT_FOUND: i32 = 5;
    pub(crate) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(crate) const FAILED_PRECONDITION: i32 = 9;
    pub(crate) const OUT_OF_RANGE: i32 = 11;
    pub(crate) const UNIMPLEMENTED: i32 = 12;
    pub(crate) const UNAVAILABLE: i32 = 14;
}

impl Fault {
    pub(crate) fn new(code: i32, message: &str) -> Fault {
        Fault { code, message: one_line(message).into_owned() }
    }

    /// The error of a request whose run failed: the graph's own text names the node.
    #[cold]
    pub(crate) fn of_run(self, model: &str) -> Error {
        let code = match self.code {
            code::INVALID_ARGUMENT | code::OUT_OF_RANGE => Code::InvalidArg,
            code::RESOURCE_EXHAUSTED | code::UNAVAILABLE => Code::Unavailable,
            code::UNIMPLEMENTED => Code::Unsupported,
            _ => Code::Internal,
        };
        Error::new(code, format!("model '{model}': {}", self.message))
    }

    /// The error of a model that cannot be loaded.
    #[cold]
    pub(crate) fn of_load(self, model: &str, what: &str) -> Error {
        let code = match self.code {
            code::RESOURCE_EXHAUSTED => Code::Unavailable,
            code::UNIMPLEMENTED => Code::Unsupported,
            code::INVALID_ARGUMENT | code::NOT_FOUND => Code::InvalidArg,
            _ => Code::Internal,
        };
        Error::new(code, format!("unable to load model '{model}', {what}: {}", self.message))
    }
}
