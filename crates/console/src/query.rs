//! The query of a request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value of a parameter; `None` if it is not there, or no UTF-8.
pub(crate) fn value<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    percent_decode_str(value).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Some("model=a%2Fb%20c&since=12&since=13&x");
        assert_eq!(value(query, "model").as_deref(), Some("a/b c"));
        assert_eq!(value(query, "since").as_deref(), Some("12"));
        assert_eq!(value(query, "x"), None);
        assert_eq!(value(Some("a=%ff"), "a"), None);
        assert_eq!(value(None, "a"), None);
    }
}
