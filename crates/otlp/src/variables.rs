//! The forms in which OpenTelemetry's variables write lists.

use percent_encoding::percent_decode_str;

/// The pairs of `a=b,c=d`, whose values may be percent-encoded. What is no pair is left out, as OpenTelemetry wants it.
pub(crate) fn pairs(list: &str) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=')?;
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        let value = percent_decode_str(value).decode_utf8().ok()?;
        (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
    };
    list.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_list() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [pair("a", "b"), pair("c", "d=e"), pair("f", "x y,")];
        assert_eq!(pairs(" a=b ,c=d=e,, nothing ,=v, f=x%20y%2C,bad=%ff"), expected);
        assert_eq!(pairs(""), []);
    }
}
