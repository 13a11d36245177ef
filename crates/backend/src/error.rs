//! The one error of everything that answers a client.
//!
//! A code says what a client can do about it; each protocol has a table of its own from codes to its statuses; the message is what the client
//! reads. Clients match on some of Triton's messages, so these are kept to the letter wherever they are known; our own
//! are lower case, name the model, and say what was expected and what came.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use hippocamp_tensor::MemoryError;

/// What everything returns that may fail a request or a load.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of error it is. These are Triton's eight; add none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No other code applies.
    Unknown,
    /// The server or the model is at fault.
    Internal,
    /// There is nothing of that name.
    NotFound,
    /// The request or the config is wrong.
    InvalidArg,
    /// A retry may succeed: a full queue, short memory, a model that is not ready.
    Unavailable,
    /// The operation is not supported.
    Unsupported,
    /// There is something of that name already.
    AlreadyExists,
    /// The client cancelled the request.
    Cancelled,
}

impl Code {
    /// How the code is spelled in front of a reason in the repository index.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Unknown => "Unknown",
            Code::Internal => "Internal",
            Code::NotFound => "Not found",
            Code::InvalidArg => "Invalid argument",
            Code::Unavailable => "Unavailable",
            Code::Unsupported => "Unsupported",
            Code::AlreadyExists => "Already exists",
            Code::Cancelled => "Cancelled",
        }
    }
}

/// A code, a message for the client, and the cause if there is one. Cheap to clone: one error may answer a whole batch.
#[derive(Clone)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($name:ident: $code:ident),+ $(,)?) => {
        $(/// An error of the code that its name says, with a message for the client.
        #[cold]
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Error {
            Error::new(Code::$code, message)
        })+
    };
}

impl Error {
    /// An error without a cause.
    #[cold]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
        Error { code, message: message.into(), source: None }
    }

    constructors! {
        internal: Internal,
        not_found: NotFound,
        invalid_arg: InvalidArg,
        unavailable: Unavailable,
        unsupported: Unsupported,
        already_exists: AlreadyExists,
        cancelled: Cancelled,
    }

    /// Keeps what caused it, for the log. The client sees only the message.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same with another message.
    #[must_use]
    pub fn with_message(self, message: impl Into<Cow<'static, str>>) -> Error {
        Error { message: message.into(), ..self }
    }

    /// What kind of error it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the client reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code's name and the message, as Triton writes the reason of a failed load.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.code.name(), self.message)
    }
}

impl Error {
    /// The error of a model that memory was short for, or that a transfer failed for.
    #[cold]
    pub fn of_memory(model: &str, error: MemoryError) -> Error {
        let message = format!("model '{model}': {error}");
        Error::from(error).with_message(message)
    }
}

impl From<MemoryError> for Error {
    /// Memory that is short is UNAVAILABLE, as the same request may succeed later, and so is a device that is lost, as another
    /// server may have one. A transfer that fails is INTERNAL.
    #[cold]
    fn from(error: MemoryError) -> Error {
        let code = match &error {
            MemoryError::OutOfMemory { .. } | MemoryError::Lost { .. } => Code::Unavailable,
            MemoryError::Transfer { .. } | MemoryError::Device { .. } => Code::Internal,
        };
        Error::new(code, error.to_string()).with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason())?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " ({source})"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
