//! The levels of a load that are measured one after the other.

use std::str::FromStr;

/// Numbers of requests under way, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(Vec<u32>);

/// Rates, in requests a second, in the order in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates(Vec<f64>);

/// The most levels that one run may have.
const MAX: usize = 1000;

/// The least rate: a request in a day.
const LEAST: f64 = 1.0 / 86_400.0;

impl Levels {
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

impl Rates {
    pub(crate) fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }
}

impl FromStr for Levels {
    type Err = String;

    /// Parses `1,4,16`, or `FIRST:LAST` and `FIRST:LAST:STEP` with both ends.
    fn from_str(text: &str) -> Result<Levels, String> {
        let whole = |text: &str| text.parse().ok().filter(|level: &u32| *level > 0).map(f64::from);
        // They are whole numbers, which a float of this size keeps as they are.
        let whole_again = |level: f64| level as u32;
        Ok(Levels(parsed(text, "whole numbers above 0", whole)?.into_iter().map(whole_again).collect()))
    }
}

impl FromStr for Rates {
    type Err = String;

    /// Parses `0.5,4`, or ranges as of [`Levels`].
    fn from_str(text: &str) -> Result<Rates, String> {
        let rate = |text: &str| text.parse().ok().filter(|rate| (LEAST..=1e9).contains(rate));
        parsed(text, "requests a second", rate).map(Rates)
    }
}

/// Parses a list of numbers and ranges, of which `one` reads one.
fn parsed(text: &str, what: &str, one: impl Fn(&str) -> Option<f64>) -> Result<Vec<f64>, String> {
    let wanted = || format!("expected {what}: 4, or 1,4,16, or FIRST:LAST:STEP");
    let level = |text: &str| one(text.trim()).ok_or_else(wanted);
    let mut levels = Vec::new();
    for part in text.split(',') {
        match part.split(':').collect::<Vec<_>>()[..] {
            [single] => levels.push(level(single)?),
            [first, last] => levels.extend(range(level(first)?, level(last)?, 1.0)),
            [first, last, step] => levels.extend(range(level(first)?, level(last)?, level(step)?)),
            _ => return Err(wanted()),
        }
    }
    match levels.len() {
        0 => Err("the range is empty: FIRST is to be at most LAST".to_owned()),
        1..=MAX => Ok(levels),
        _ => Err(format!("these are more than {MAX} levels")),
    }
}

/// Both ends included, as far as steps get there: a thousandth of a step is the error of a sum of decimals.
fn range(first: f64, last: f64, step: f64) -> impl Iterator<Item = f64> {
    let nth = move |number: usize| step.mul_add(number as f64, first);
    (0..=MAX).map(nth).take_while(move |level| *level <= last + step / 1000.0)
}
