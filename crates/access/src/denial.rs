//! Why a call may not be made.

use std::fmt;

use crate::restriction::Protocol;
use crate::roles::Right;

/// Why a call may not be made. Its text is for the client, and tells nothing of models that the client may not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The category is restricted, and its header is missing or wrong.
    Restricted {
        /// Whose call it is; the texts differ.
        protocol: Protocol,
        /// The header that is expected, as the client has to send it.
        header: String,
    },
    /// The request has no token, and one is needed.
    NoToken,
    /// The request has a token that is not one of the configured ones.
    UnknownToken,
    /// The token is known, and its roles do not include the call.
    NotAllowed {
        /// The name of the token.
        caller: String,
        /// What would be needed.
        right: Right,
        /// For which model it would be needed; `None` for one at least.
        model: Option<String>,
    },
}

/// What a protocol has to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// A restriction: HTTP 403, UNAVAILABLE.
    Restricted,
    /// It is not known who asks: HTTP 401, UNAUTHENTICATED.
    Unauthenticated,
    /// It is known, and not allowed: HTTP 403, `PERMISSION_DENIED`.
    Forbidden,
}

impl Denial {
    /// What the answer's status depends on.
    pub fn kind(&self) -> DenialKind {
        match self {
            Denial::Restricted { .. } => DenialKind::Restricted,
            Denial::NoToken | Denial::UnknownToken => DenialKind::Unauthenticated,
            Denial::NotAllowed { .. } => DenialKind::Forbidden,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The texts are Triton's.
            Denial::Restricted { protocol, header } => {
                let what = match protocol {
                    Protocol::Http => "API",
                    Protocol::Grpc => "protocol",
                };
                write!(f, "This {what} is restricted, expecting header '{header}'")
            }
            Denial::NoToken => {
                f.write_str("this call needs a token: send it as 'Authorization: Bearer TOKEN'")
            }
            Denial::UnknownToken => f.write_str("the token that was sent is not known"),
            Denial::NotAllowed { caller, right, model } => {
                write!(f, "token '{caller}' has no {}", right.role())?;
                match model.as_deref() {
                    None => Ok(()),
                    Some("*") => f.write_str(" for all models ('*')"),
                    Some(model) => write!(f, " for model '{model}'"),
                }
            }
        }
    }
}

impl std::error::Error for Denial {}
