//! A parameter with a number for each channel of an image.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::pipeline::Ports;

/// One number for all channels, or a list with one for each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PerChannel(Vec<f64>);

impl PerChannel {
    /// The number of each channel; `otherwise` if the parameter is missing. A list of the wrong length is a fault of
    /// `key`.
    pub(crate) fn of(
        key: &str,
        numbers: Option<&PerChannel>,
        channels: usize,
        otherwise: f64,
        ports: &mut Ports<'_, '_>,
    ) -> Vec<f64> {
        match numbers.map(|numbers| numbers.0.as_slice()) {
            None => vec![otherwise; channels],
            Some([one]) => vec![*one; channels],
            Some(numbers) if numbers.len() == channels => numbers.to_vec(),
            Some(numbers) => {
                let got = numbers.len();
                ports.fault(key, format!("'{key}' was expected to have 1 or {channels} numbers, got {got}"));
                vec![otherwise; channels]
            }
        }
    }
}

impl<'de> Deserialize<'de> for PerChannel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written).map(PerChannel)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Vec<f64>, E> {
        Ok(vec![number])
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Vec<f64>, E> {
        Ok(vec![number as f64])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<f64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = list.next_element()? {
            numbers.push(number);
        }
        Ok(numbers)
    }
}
