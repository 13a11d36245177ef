//! Restricted categories: calls that need a header with a secret.

use crate::category::Category;
use crate::secret::Secret;

/// The protocols whose calls are restricted apart from each other. V1 belongs to that of its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Every protocol of the HTTP port.
    Http,
    /// Every service of the gRPC port.
    Grpc,
}

impl Protocol {
    /// The flag that restricts its calls.
    fn flag(self) -> &'static str {
        match self {
            Protocol::Http => "http-restricted-api",
            Protocol::Grpc => "grpc-restricted-protocol",
        }
    }

    /// What stands before the key in the name of the header.
    fn prefix(self) -> &'static str {
        match self {
            Protocol::Http => "",
            Protocol::Grpc => "triton-grpc-protocol-",
        }
    }
}

/// The header that a category needs.
#[derive(Clone, Debug)]
pub(crate) struct Restriction {
    pub(crate) header: String,
    pub(crate) value: Secret,
}

/// The restrictions of one protocol.
#[derive(Clone, Debug)]
pub struct Restrictions {
    pub(crate) protocol: Protocol,
    by_category: [Option<Restriction>; Category::ALL.len()],
}

impl Restrictions {
    /// No restriction.
    pub fn none(protocol: Protocol) -> Restrictions {
        Restrictions { protocol, by_category: Default::default() }
    }

    /// The restrictions that the values of the protocol's flag describe, each `CATEGORY,CATEGORY:KEY=VALUE`. The error is
    /// Triton's text about the option.
    pub fn from_flags<'a>(
        protocol: Protocol,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Restrictions, String> {
        let mut restrictions = Restrictions::none(protocol);
        for text in values {
            let parts = text
                .split_once(':')
                .and_then(|(names, setting)| Some((names, setting.split_once('=')?)))
                .filter(|(names, (key, value))| !names.is_empty() && !key.is_empty() && !value.is_empty());
            let Some((names, (key, value))) = parts else {
                let flag = protocol.flag();
                return Err(format!(
                    "--{flag} option format is '<config name>:<setting>=<value>'. Got {text}"
                ));
            };
            for name in names.split(',') {
                restrictions.add(name, key, &Secret::of(value.as_bytes()))?;
            }
        }
        Ok(restrictions)
    }

    /// Restricts the category of that name. Fails if there is none, or if it is restricted already.
    pub(crate) fn add(&mut self, name: &str, key: &str, value: &Secret) -> Result<(), String> {
        let Some(category) = Category::from_name(name) else {
            let what = if self.protocol == Protocol::Http { "api" } else { "protocol" };
            // The blank at the end is Triton's.
            return Err(format!("unknown restricted {what} '{name}' "));
        };
        let place = &mut self.by_category[category as usize];
        if place.is_some() {
            return Err(format!("restricted api '{name}' can not be specified in multiple config groups"));
        }
        *place =
            Some(Restriction { header: format!("{}{key}", self.protocol.prefix()), value: value.clone() });
        Ok(())
    }

    pub(crate) fn of(&self, category: Category) -> Option<&Restriction> {
        self.by_category[category as usize].as_ref()
    }

    /// Whether no category is restricted.
    pub fn is_empty(&self) -> bool {
        self.by_category.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_restricted_by_flags() {
        let flags = ["health,model-repository:key=a=b", "shared-memory:Other=x:y"];
        let grpc = Restrictions::from_flags(Protocol::Grpc, flags).unwrap();
        let header = |category| grpc.of(category).map(|restriction| restriction.header.as_str());
        assert_eq!(header(Category::Health), Some("triton-grpc-protocol-key"));
        assert_eq!(header(Category::ModelRepository), Some("triton-grpc-protocol-key"));
        assert_eq!(header(Category::SharedMemory), Some("triton-grpc-protocol-Other"));
        assert_eq!(header(Category::Inference), None);
        let value = &grpc.of(Category::Health).unwrap().value;
        assert!(bool::from(value.is(&Secret::of(b"a=b"))));
        assert!(!grpc.is_empty() && Restrictions::none(Protocol::Http).is_empty());
    }

    #[test]
    fn invalid_flags_have_tritons_texts() {
        let fault =
            |protocol, flags: &[&str]| Restrictions::from_flags(protocol, flags.iter().copied()).unwrap_err();
        for text in ["", "health", "health:key", "health=key:x", ":key=x", "health:=x", "health:key="] {
            let expected = format!(
                "--http-restricted-api option format is '<config name>:<setting>=<value>'. Got {text}"
            );
            assert_eq!(fault(Protocol::Http, &[text]), expected);
        }
        assert_eq!(fault(Protocol::Http, &["Health:k=v"]), "unknown restricted api 'Health' ");
        assert_eq!(fault(Protocol::Http, &["health,:k=v"]), "unknown restricted api '' ");
        assert_eq!(fault(Protocol::Grpc, &["x:k=v"]), "unknown restricted protocol 'x' ");
        let twice = "restricted api 'trace' can not be specified in multiple config groups";
        assert_eq!(fault(Protocol::Http, &["trace,trace:k=v"]), twice);
        assert_eq!(fault(Protocol::Http, &["trace:k=v", "health,trace:l=w"]), twice);
    }
}
