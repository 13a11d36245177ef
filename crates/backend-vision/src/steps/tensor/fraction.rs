//! A number that may be written as a fraction.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// `0.5`, `2` or `"1/255"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

impl Default for Fraction {
    fn default() -> Self {
        Fraction(1.0)
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Written)?;
        if number.is_finite() && number != 0.0 {
            return Ok(Fraction(number));
        }
        Err(D::Error::custom("a scale was expected that is neither 0 nor infinite"))
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a fraction such as \"1/255\"")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        let parse = |part: &str| part.trim().parse::<f64>().ok();
        let number = match text.split_once('/') {
            Some((above, below)) => parse(above).zip(parse(below)).map(|(above, below)| above / below),
            None => parse(text),
        };
        number.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}
