//! The query of a path.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode;

/// The pairs of a query, or of a form that is written like one.
#[derive(Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, [u8]>)>);

impl<'a> Query<'a> {
    /// At most so many pairs of a text; those behind them are passed over.
    pub(crate) fn first(text: &'a [u8], most: usize) -> Query<'a> {
        let pairs = text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        let pair = |pair: &'a [u8]| {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            (Cow::Owned(String::from_utf8_lossy(&decoded(name)).into_owned()), decoded(value))
        };
        Query(pairs.take(most).map(pair).collect())
    }

    pub(crate) fn of(query: Option<&'a str>) -> Query<'a> {
        Query::first(query.unwrap_or_default().as_bytes(), usize::MAX)
    }

    /// The value of a name as text.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(own, _)| own == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a name as a number; `None` for one that is none, as TorchServe takes it.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Whether the value of a name is `true`.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        Some(self.get(name)?.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn into_pairs(self) -> Vec<(Cow<'a, str>, Cow<'a, [u8]>)> {
        self.0
    }
}

fn decoded(part: &[u8]) -> Cow<'_, [u8]> {
    if part.contains(&b'+') {
        let spaced: Vec<u8> = part.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    percent_decode(part).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query =
            Query::of(Some("url=a%20b.mar&batch_size=4&synchronous=TRUE&x=&name[]=A&name[]=B&c=d+e&bad=x"));
        assert_eq!(query.get("url").as_deref(), Some("a b.mar"));
        assert_eq!((query.number::<u32>("batch_size"), query.number::<u32>("bad")), (Some(4), None));
        assert_eq!((query.truth("synchronous"), query.get("x"), query.get("y")), (Some(true), None, None));
        assert_eq!(query.all("name[]"), ["A", "B"]);
        assert_eq!(query.get("c").as_deref(), Some("d e"));
    }
}
