//! Callers, their roles, and what a call asks of them.

use crate::pattern::Pattern;
use crate::secret::Secret;

/// What a call asks of the client's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing, not even a token: liveness and readiness of the server.
    Probe,
    /// Any role for the model: what clients ask before the first request. Readiness, metadata and config of a model.
    See,
    /// The role `read`: statistics, the index, settings.
    Read,
    /// The role `infer`.
    Infer,
    /// The role `admin`: loads and unloads, shared memory, changes of settings.
    Admin,
}

impl Right {
    /// The role in words that follow "has no".
    pub(crate) fn role(self) -> &'static str {
        match self {
            Right::Probe | Right::See => "role",
            Right::Read => "role 'read'",
            Right::Infer => "role 'infer'",
            Right::Admin => "role 'admin'",
        }
    }
}

/// The models for which a caller has each role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) read: Vec<Pattern>,
    pub(crate) infer: Vec<Pattern>,
    pub(crate) admin: Vec<Pattern>,
}

impl Roles {
    /// Whether one of the patterns that give the right fulfils `wanted`. Who has the role `admin` may read and infer, too.
    pub(crate) fn any(&self, right: Right, wanted: impl Fn(&Pattern) -> bool) -> bool {
        let of = |role: &[Pattern]| role.iter().any(&wanted);
        match right {
            Right::Probe => true,
            Right::See => of(&self.read) || of(&self.infer) || of(&self.admin),
            Right::Read => of(&self.read) || of(&self.admin),
            Right::Infer => of(&self.infer) || of(&self.admin),
            Right::Admin => of(&self.admin),
        }
    }
}

/// Somebody with a token, or all who have none.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name of the token; `None` for those who have none.
    pub(crate) name: Option<String>,
    pub(crate) roles: Roles,
}

/// A token, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) caller: std::sync::Arc<Caller>,
}
