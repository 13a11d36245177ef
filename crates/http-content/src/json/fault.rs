//! What can be wrong with a JSON text.

use hippocamp_backend::Error;

/// Why reading stopped.
#[derive(Debug)]
pub enum Fault {
    /// The text is no JSON. Nothing behind this place can be read.
    Syntax { text: &'static str, at: usize },
    /// The text is JSON as far as it was read, but does not say what it should.
    Meaning(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Meaning(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault {
            // Triton's text, which it has for `data` only.
            Fault::Syntax { text: syntax::DEPTH, .. } => Error::invalid_arg(syntax::DEPTH),
            Fault::Syntax { text, at } => {
                Error::invalid_arg(format!("failed to parse the request JSON buffer: {text} at {at}"))
            }
            Fault::Meaning(error) => error,
        }
    }
}

/// A field whose value is not what it should be. Clients know the text.
#[cold]
pub fn unable_to_parse(field: &str, why: impl std::fmt::Display) -> Error {
    Error::invalid_arg(format!("Unable to parse '{field}': {why}"))
}

/// The texts of syntax errors.
pub(crate) mod syntax {
    pub(crate) const EMPTY: &str = "The document is empty.";
    pub(crate) const ROOT_FOLLOWED: &str = "The document root must not be followed by other values.";
    pub(crate) const VALUE: &str = "Invalid value.";
    pub(crate) const NAME: &str = "Missing a name for object member.";
    pub(crate) const COLON: &str = "Missing a colon after a name of object member.";
    pub(crate) const OBJECT_COMMA: &str = "Missing a comma or } after an object member.";
    pub(crate) const ARRAY_COMMA: &str = "Missing a comma or ] after an array element.";
    pub(crate) const HEX: &str = "Incorrect hex digit after \\u escape in string.";
    pub(crate) const SURROGATE: &str = "The surrogate pair in string is invalid.";
    pub(crate) const ESCAPE: &str = "Invalid escape character in string.";
    pub(crate) const QUOTE: &str = "Missing a closing quotation mark in string.";
    pub(crate) const ENCODING: &str = "Invalid encoding in string.";
    pub(crate) const TOO_BIG: &str = "Number too big to be stored in double.";
    pub(crate) const FRACTION: &str = "Miss fraction part in number.";
    pub(crate) const EXPONENT: &str = "Miss exponent in number.";
    pub(crate) const DEPTH: &str = "JSON nesting depth exceeds maximum allowed limit (100)";
}
