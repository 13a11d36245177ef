//! Errors with a message for the user of the command.

use std::fmt;

/// A message that says what is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

/// A result whose error is for the user of the command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with that message.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Returns early with a [`Failure`]; takes the arguments of `format!`.
macro_rules! fail {
    ($($text:tt)+) => {
        return Err($crate::failure::Failure::new(format!($($text)+)))
    };
}
pub(crate) use fail;
