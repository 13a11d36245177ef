//! The parameters of a request or a response.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int64(i64),
    /// A whole number without a sign.
    Uint64(u64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    String(Cow<'static, str>),
}

/// Named values, in the order of their names. Most requests have none and allocate nothing. A client decides how many
/// there are, so each is found by a search in order: a list costs the square of its length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(BTreeMap<Name, ParameterValue>);

/// A name, compared as its text.
#[derive(Clone, Debug)]
struct Name(Cow<'static, str>);

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        note_comparison();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        note_comparison();
        self.0 == other.0
    }
}

impl Eq for Name {}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Tests count what a long list costs.
#[cfg(not(test))]
fn note_comparison() {}

#[cfg(test)]
use tests::note_comparison;

impl Parameters {
    /// Sets a value; an earlier one of that name is replaced.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: ParameterValue) {
        self.0.insert(Name(name.into()), value);
    }

    /// Sets all of `later`'s values.
    pub fn update(&mut self, later: &Parameters) {
        for (name, value) in &later.0 {
            self.0.insert(name.clone(), value.clone());
        }
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParameterValue)> {
        self.0.iter().map(|(name, value)| (name.0.as_ref(), value))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn note_comparison() {
        COMPARISONS.set(COMPARISONS.get() + 1);
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let mut parameters = Parameters::default();
        for (name, value) in [("b", 1), ("a", 2), ("b", 3)] {
            parameters.set(name, ParameterValue::Int64(value));
        }
        let all: Vec<_> = parameters.iter().collect();
        assert_eq!(all, [("a", &ParameterValue::Int64(2)), ("b", &ParameterValue::Int64(3))]);
        assert_eq!(parameters.get("c"), None);
    }

    #[test]
    fn as_many_as_a_client_likes_are_never_compared_one_by_one() {
        const COUNT: usize = 100_000;
        let mut parameters = Parameters::default();
        COMPARISONS.set(0);
        for index in 0..COUNT {
            parameters.set(format!("parameter {}", index * 7919 % COUNT), ParameterValue::Bool(true));
        }
        let mut copy = Parameters::default();
        copy.update(&parameters);
        let comparisons = COMPARISONS.get();
        assert!(
            comparisons > 0 && comparisons < 2 * 64 * COUNT,
            "{comparisons} comparisons of {COUNT} names"
        );
        assert_eq!(copy.iter().count(), COUNT);
    }
}
