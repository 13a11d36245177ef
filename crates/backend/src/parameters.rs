//! The parameters of a request or a response.

use std::borrow::Cow;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    Bool(bool),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    String(Cow<'static, str>),
}

/// Named values, in the order in which they came. Few, so a list beats a map; most requests have none and allocate
/// nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<(Cow<'static, str>, ParameterValue)>);

impl Parameters {
    /// Sets a value; an earlier one of that name is replaced.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: ParameterValue) {
        let name = name.into();
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets all of `later`'s values.
    pub fn update(&mut self, later: &Parameters) {
        for (name, value) in &later.0 {
            self.set(name.clone(), value.clone());
        }
    }

    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParameterValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}
