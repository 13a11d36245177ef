//! The check of a call, and what it grants.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::Choice;

use crate::auth::{Auth, Rules};
use crate::category::Category;
use crate::denial::Denial;
use crate::pattern::Pattern;
use crate::restriction::Restrictions;
use crate::roles::{Caller, Right};
use crate::secret::Secret;

/// Who may make which call of one protocol. A copy is cheap, and follows changes of the file of tokens.
#[derive(Clone, Debug, Default)]
pub struct Access(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    restrictions: Restrictions,
    auth: Option<Arc<Auth>>,
}

impl Access {
    /// Everybody may make every call.
    pub fn open() -> Access {
        Access(None)
    }

    /// The restrictions of a protocol, and the tokens of the server, if there are any.
    pub fn new(restrictions: Restrictions, auth: Option<Arc<Auth>>) -> Access {
        if restrictions.is_empty() && auth.is_none() {
            return Access::open();
        }
        Access(Some(Arc::new(Inner { restrictions, auth })))
    }

    /// Whether everybody may make every call, so that nothing has to be asked.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Checks what the head of a request tells: the category's restriction, then the token. `header` finds the value of a
    /// header by its name, in any case. The grant has to be asked for the model, or for the server if it is about no model.
    pub fn check<'h>(
        &self,
        category: Category,
        right: Right,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Grant, Denial> {
        match &self.0 {
            None => Ok(Grant(None)),
            Some(inner) => inner.check(Some(category), right, &header),
        }
    }

    /// The same for a call that belongs to no category, so that only the token counts.
    pub fn check_uncategorized<'h>(
        &self,
        right: Right,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Grant, Denial> {
        match &self.0 {
            None => Ok(Grant(None)),
            Some(inner) => inner.check(None, right, &header),
        }
    }

    /// The same for a page that is about all models, such as that of the metrics: the role `read` for all of them, unless
    /// the file of tokens leaves metrics open. No restriction holds for it, as in Triton.
    pub fn check_metrics<'h>(&self, header: impl Fn(&str) -> Option<&'h [u8]>) -> Result<(), Denial> {
        match &self.0 {
            None => Ok(()),
            Some(inner) if inner.auth.as_ref().is_none_or(|auth| auth.rules().open_metrics) => Ok(()),
            Some(_) => self.check_uncategorized(Right::Read, header)?.server(),
        }
    }
}

impl Inner {
    #[cold]
    fn check<'h>(
        &self,
        category: Option<Category>,
        right: Right,
        header: &dyn Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Grant, Denial> {
        let rules = self.auth.as_ref().map(|auth| auth.rules());
        if let Some(category) = category {
            restricted(&self.restrictions, category, header)?;
            if let Some(rules) = &rules {
                restricted(rules.restrictions(self.restrictions.protocol), category, header)?;
            }
        }
        match rules {
            Some(rules) if right != Right::Probe => granted(&rules, right, header("authorization")),
            _ => Ok(Grant(None)),
        }
    }
}

fn restricted<'h>(
    restrictions: &Restrictions,
    category: Category,
    header: &dyn Fn(&str) -> Option<&'h [u8]>,
) -> Result<(), Denial> {
    let Some(restriction) = restrictions.of(category) else { return Ok(()) };
    let value = header(&restriction.header);
    if value.is_some_and(|value| restriction.value.is(&Secret::of(value)).into()) {
        return Ok(());
    }
    Err(Denial::Restricted { protocol: restrictions.protocol, header: restriction.header.clone() })
}

/// What the token grants. The request's model is not known yet.
fn granted(rules: &Rules, right: Right, authorization: Option<&[u8]>) -> Result<Grant, Denial> {
    let Some(caller) = &rules.tokens else { return Ok(Grant(None)) };
    let caller = match authorization {
        None => &caller.anonymous,
        Some(authorization) => find(rules, authorization).ok_or(Denial::UnknownToken)?,
    };
    let grant = Granted { caller: Arc::clone(caller), right };
    if !caller.roles.any(right, |_| true) {
        return Err(grant.denial(None));
    }
    Ok(Grant(Some(grant)))
}

/// The caller whose token the header has: `Bearer TOKEN`, or `Basic` with the token's name and the token. Every token is
/// compared, so that the time tells nothing.
fn find<'a>(rules: &'a Rules, authorization: &[u8]) -> Option<&'a Arc<Caller>> {
    let authorization = authorization.trim_ascii();
    let blank = authorization.iter().position(|&byte| byte == b' ')?;
    let (scheme, credentials) = (&authorization[..blank], authorization[blank..].trim_ascii());
    let (name, secret) = if scheme.eq_ignore_ascii_case(b"bearer") {
        (None, Secret::of(credentials))
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        let pair = STANDARD.decode(credentials).ok()?;
        let colon = pair.iter().position(|&byte| byte == b':')?;
        (Some(pair[..colon].to_vec()), Secret::of(&pair[colon + 1..]))
    } else {
        return None;
    };
    let mut found = None;
    for token in &rules.tokens.as_ref()?.tokens {
        let is_named =
            name.as_deref().is_none_or(|name| token.caller.name.as_deref().map(str::as_bytes) == Some(name));
        if bool::from(token.secret.is(&secret) & Choice::from(u8::from(is_named))) {
            found = Some(&token.caller);
        }
    }
    found
}

/// What a checked call may be about.
#[derive(Clone, Debug)]
#[must_use = "the call's model has to be checked, too"]
pub struct Grant(Option<Granted>);

#[derive(Clone, Debug)]
struct Granted {
    caller: Arc<Caller>,
    right: Right,
}

impl Grant {
    /// A grant for everything, for calls within the process.
    pub fn all() -> Grant {
        Grant(None)
    }

    /// Whether it is for everything, so that lists need not be filtered.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The same client asking for another right: for calls whose message says whether they read a setting or change it.
    pub fn asking(&self, right: Right) -> Grant {
        Grant(self.0.as_ref().map(|granted| Granted { caller: Arc::clone(&granted.caller), right }))
    }

    /// Checks the model that the client named: of an ensemble its own name, not those of its steps.
    pub fn model(&self, name: &str) -> Result<(), Denial> {
        match &self.0 {
            Some(granted) if !granted.covers(name) => Err(granted.denial(Some(name))),
            _ => Ok(()),
        }
    }

    /// Whether a list may show the model.
    pub fn covers(&self, model: &str) -> bool {
        self.0.as_ref().is_none_or(|granted| granted.covers(model))
    }

    /// Checks a call that is about no model, but about the server: the role has to be for all models (`*`).
    pub fn server(&self) -> Result<(), Denial> {
        match &self.0 {
            Some(granted) if !granted.caller.roles.any(granted.right, Pattern::is_all) => {
                Err(granted.denial(Some("*")))
            }
            _ => Ok(()),
        }
    }
}

impl Granted {
    fn covers(&self, model: &str) -> bool {
        self.caller.roles.any(self.right, |pattern| pattern.matches(model))
    }

    fn denial(&self, model: Option<&str>) -> Denial {
        match &self.caller.name {
            None => Denial::NoToken,
            Some(name) => Denial::NotAllowed {
                caller: name.clone(),
                right: self.right,
                model: model.map(str::to_owned),
            },
        }
    }
}

#[cfg(test)]
mod tests;
