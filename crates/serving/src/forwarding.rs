//! Headers of a call that become parameters of its request.

use hippocamp_backend::{Error, ParameterValue, Parameters, Result};
use regex::{Regex, RegexBuilder};

/// Names of parameters that mean something to the server, so that no header may have them.
const RESERVED: [&str; 7] =
    ["sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers", "binary_data_output"];

/// What the names of further reserved parameters begin with.
const RESERVED_PREFIX: &str = "triton_";

/// Which headers, or which metadata of gRPC, are handed to the model as parameters. None by default.
#[derive(Clone, Debug, Default)]
pub struct HeaderForwarding(Option<Regex>);

impl HeaderForwarding {
    /// Forwards the headers whose name matches the pattern somewhere, in any case of letters; none if it is empty. The error says
    /// what is wrong with the pattern.
    pub fn new(pattern: &str) -> std::result::Result<HeaderForwarding, String> {
        if pattern.is_empty() {
            return Ok(HeaderForwarding(None));
        }
        let regex = RegexBuilder::new(pattern).case_insensitive(true).build();
        regex.map(|regex| HeaderForwarding(Some(regex))).map_err(|error| error.to_string())
    }

    /// The forwarded ones of these headers, as texts; `None` if nothing is forwarded. Several headers of one name are one list.
    /// Returns an error if a header would have the name of a parameter that means something to the server.
    #[inline]
    pub fn parameters<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Option<Box<Parameters>>> {
        match &self.0 {
            None => Ok(None),
            Some(pattern) => forwarded(pattern, headers).map(Some),
        }
    }
}

fn forwarded<'h>(
    pattern: &Regex,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Box<Parameters>> {
    let mut parameters = Parameters::default();
    for (name, value) in headers {
        if !pattern.is_match(name) {
            continue;
        }
        if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
            let text = format!("Header '{name}' is reserved for Triton usage and cannot be forwarded.");
            return Err(Error::invalid_arg(text));
        }
        let value = String::from_utf8_lossy(value);
        let value = match parameters.get(name) {
            Some(ParameterValue::String(earlier)) => format!("{earlier}, {value}"),
            _ => value.into_owned(),
        };
        parameters.set(name.to_owned(), ParameterValue::String(value.into()));
    }
    Ok(Box::new(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(pattern: &str, headers: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let parameters = HeaderForwarding::new(pattern).unwrap().parameters(headers)?.unwrap_or_default();
        let text = |value: &ParameterValue| match value {
            ParameterValue::String(text) => text.clone().into_owned(),
            other => panic!("{other:?} is no text"),
        };
        Ok(parameters.iter().map(|(name, value)| (name.to_owned(), text(value))).collect())
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_pattern_matches_anywhere_in_any_case() {
        let headers = [("x-user-id", "7"), ("X-Tenant", "a"), ("accept", "*/*"), ("x-user-id", "8")];
        assert_eq!(forwarded("", &headers).unwrap(), []);
        assert_eq!(forwarded("USER", &headers).unwrap(), pairs(&[("x-user-id", "7, 8")]));
        assert_eq!(forwarded("^(x-tenant|accept)$", &headers).unwrap().len(), 2);
        assert_eq!(forwarded("^user", &headers).unwrap(), []);
    }

    #[test]
    fn reserved_names_are_refused_only_where_they_match() {
        for name in RESERVED.into_iter().chain(["triton_x"]) {
            let text = format!("Header '{name}' is reserved for Triton usage and cannot be forwarded.");
            assert_eq!(forwarded(".*", &[(name, "1")]).unwrap_err().message(), text);
            assert_eq!(forwarded("^x-", &[(name, "1")]).unwrap(), []);
        }
        assert_eq!(forwarded(".*", &[("Priority", "u=1")]).unwrap(), pairs(&[("Priority", "u=1")]));
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        assert!(HeaderForwarding::new("(x").unwrap_err().contains("unclosed group"));
    }
}
