//! What can be wrong with a JSON text.

use hippocamp_backend::Error;

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum Fault {
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
            Fault::Syntax { text, at } => {
                Error::invalid_arg(format!("failed to parse the request JSON buffer: {text} at {at}"))
            }
            Fault::Meaning(error) => error,
        }
    }
}

/// A field whose value is not what it should be. Clients know the text.
#[cold]
pub(crate) fn unable_to_parse(field: &str, why: impl std::fmt::Display) -> Error {
    Error::invalid_arg(format!("Unable to parse '{field}': {why}"))
}

/// The texts of syntax errors.
pub(super) mod syntax {
    pub(in crate::json) const EMPTY: &str = "The document is empty.";
    pub(in crate::json) const ROOT_FOLLOWED: &str = "The document root must not be followed by other values.";
    pub(in crate::json) const VALUE: &str = "Invalid value.";
    pub(in crate::json) const NAME: &str = "Missing a name for object member.";
    pub(in crate::json) const COLON: &str = "Missing a colon after a name of object member.";
    pub(in crate::json) const OBJECT_COMMA: &str = "Missing a comma or } after an object member.";
    pub(in crate::json) const ARRAY_COMMA: &str = "Missing a comma or ] after an array element.";
    pub(in crate::json) const HEX: &str = "Incorrect hex digit after \\u escape in string.";
    pub(in crate::json) const SURROGATE: &str = "The surrogate pair in string is invalid.";
    pub(in crate::json) const ESCAPE: &str = "Invalid escape character in string.";
    pub(in crate::json) const QUOTE: &str = "Missing a closing quotation mark in string.";
    pub(in crate::json) const ENCODING: &str = "Invalid encoding in string.";
    pub(in crate::json) const TOO_BIG: &str = "Number too big to be stored in double.";
    pub(in crate::json) const FRACTION: &str = "Miss fraction part in number.";
    pub(in crate::json) const EXPONENT: &str = "Miss exponent in number.";
    pub(in crate::json) const DEPTH: &str = "More than 100 values are nested in each other.";
}
