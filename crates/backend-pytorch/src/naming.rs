//! The names of a config's tensors, and the places that they stand for: Triton's rules.

use hippocamp_backend::{Error, Result};

/// How the names of a config's inputs or outputs say their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convention {
    /// They are names of the model: of arguments, or of fields of a named tuple.
    OfModel,
    /// They end with `__` and a number.
    Index,
    /// They say nothing: the order in the config counts.
    Order,
}

impl Convention {
    /// The convention that all names follow. `known` are the names of the model.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone, known: &[Option<&str>]) -> Convention {
        if names.clone().next().is_some() && names.clone().all(|name| known.contains(&Some(name))) {
            Convention::OfModel
        } else if { names }.all(|name| index(name).is_some()) {
            Convention::Index
        } else {
            Convention::Order
        }
    }

    /// The place of the name that is at this position of the config.
    pub(crate) fn place(self, name: &str, position: usize, known: &[Option<&str>]) -> Option<usize> {
        match self {
            Convention::OfModel => known.iter().position(|each| *each == Some(name)),
            Convention::Index => index(name),
            Convention::Order => Some(position),
        }
    }
}

/// The number behind the first `__` of a name, if there is nothing else behind it.
pub(crate) fn index(name: &str) -> Option<usize> {
    let (_, number) = name.split_once("__")?;
    if number.bytes().all(|byte| byte.is_ascii_digit()) { number.parse().ok() } else { None }
}

/// The place of an input that the server gives a sequence's requests: that of the argument of this name, or by its index.
pub(crate) fn place_of_added(model: &str, kind: &str, name: &str, known: &[Option<&str>]) -> Result<usize> {
    known.iter().position(|each| *each == Some(name)).or_else(|| index(name)).ok_or_else(|| {
        Error::invalid_arg(format!(
            "unable to load model '{model}', {kind} '{name}' does not follow <name>__<index> naming convention."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_all_that_follows() {
        assert_eq!(index("INPUT__0"), Some(0));
        assert_eq!(index("x__12"), Some(12));
        for other in ["INPUT_0", "INPUT__", "INPUT__0a", "my__input__0", "INPUT__-1", ""] {
            assert_eq!(index(other), None, "{other}");
        }
    }

    #[test]
    fn one_name_that_is_none_of_the_models_makes_all_count_by_index_or_order() {
        let known = [Some("x"), Some("y__0")];
        let of = |names: &[&str]| Convention::of(names.iter().copied(), &known);
        assert_eq!(of(&["y__0", "x"]), Convention::OfModel);
        assert_eq!(of(&["y__0", "INPUT__1"]), Convention::Index);
        assert_eq!(of(&["x", "INPUT__1"]), Convention::Order);
        assert_eq!(Convention::OfModel.place("y__0", 0, &known), Some(1));
        assert_eq!(Convention::Index.place("y__0", 1, &known), Some(0));
        assert_eq!(Convention::Order.place("x", 1, &known), Some(1));
    }
}
