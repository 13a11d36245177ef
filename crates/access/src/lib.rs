//! Decides whether a call may be made, for every protocol alike.
//!
//! Two things can stand in its way. A *restriction* closes a category of calls of one protocol to clients that do not send a
//! header with a secret, as Triton's `--http-restricted-api` and `--grpc-restricted-protocol` do. *Tokens*, from the file of
//! `--auth-config`, say who a client is; each has roles (infer, read, admin), and each role holds for models by pattern.
//!
//! A protocol asks in two steps, as the model may be known only once the body is read:
//!
//! ```
//! use hippocamp_access::{Access, Category, Right};
//!
//! # fn main() -> Result<(), hippocamp_access::Denial> {
//! let access = Access::open();
//! // With the head of the request: may this client make such a call at all?
//! let grant = access.check(Category::Inference, Right::Infer, |_name| None)?;
//! // With the name of the model that the client named: the ensemble's, not those of its steps.
//! grant.model("resnet50")?;
//! # Ok(())
//! # }
//! ```
//!
//! Without restrictions and tokens, a check is one comparison, and a [`Grant`] holds nothing.

#![warn(missing_docs)]

mod access;
mod auth;
mod auth_file;
mod category;
mod denial;
mod pattern;
mod restriction;
mod roles;
mod secret;

pub use access::{Access, Grant};
pub use auth::{Auth, AuthError};
pub use category::Category;
pub use denial::{Denial, DenialKind};
pub use restriction::{Protocol, Restrictions};
pub use roles::Right;
