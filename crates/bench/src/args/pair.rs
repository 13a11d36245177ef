//! The arguments of a comparison.

use std::str::FromStr;

/// A model, and a version of it if that is given: `NAME` or `NAME:VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub(crate) model: String,
    /// Empty lets the server choose.
    pub(crate) version: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        let is_version = |version: &str| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
        let (model, version) = match text.trim().rsplit_once(':') {
            Some((model, version)) if is_version(version) => (model, version),
            _ => (text.trim(), ""),
        };
        if model.is_empty() {
            return Err("expected the names of two models, such as net-torch,net-trt".to_owned());
        }
        Ok(Named { model: model.to_owned(), version: version.to_owned() })
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.model)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, ":{}", self.version) }
    }
}

/// How far numbers may be apart: by `absolute + relative * |b|`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    pub(crate) absolute: f64,
    pub(crate) relative: f64,
}

impl Tolerance {
    /// Whether a difference from `b` is larger.
    pub(crate) fn is_exceeded(self, difference: f64, b: f64) -> bool {
        // Where b is infinite, only the same is near.
        let relative = if self.relative > 0.0 && b.is_finite() { self.relative * b.abs() } else { 0.0 };
        difference > self.absolute + relative
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Tolerance, String> {
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => {
                Err(format!("expected one or two numbers from 0 on, such as 1e-3 or 1e-3,0.01, got '{text}'"))
            }
        };
        let (absolute, relative) = text.split_once(',').unwrap_or((text, "0"));
        Ok(Tolerance { absolute: number(absolute)?, relative: number(relative)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_behind_a_colon() {
        for (text, model, version) in
            [("m:12", "m", "12"), ("m", "m", ""), ("a:b", "a:b", ""), ("m:", "m:", "")]
        {
            let named: Named = text.parse().unwrap();
            assert_eq!((named.model.as_str(), named.version.as_str()), (model, version), "{text}");
            assert_eq!(named.to_string(), text);
        }
        assert!(":1".parse::<Named>().is_err() && "".parse::<Named>().is_err());
    }

    #[test]
    fn a_tolerance_is_one_number_or_two() {
        assert_eq!("1e-3".parse(), Ok(Tolerance { absolute: 1e-3, relative: 0.0 }));
        assert_eq!("0,0.5".parse(), Ok(Tolerance { absolute: 0.0, relative: 0.5 }));
        for bad in ["-1", "nan", "1,inf", "1,2,3", ""] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
        }
        let tolerance = Tolerance { absolute: 0.5, relative: 0.5 };
        assert!(!tolerance.is_exceeded(1.0, -1.0) && tolerance.is_exceeded(1.25, -1.0));
        assert!(
            tolerance.is_exceeded(f64::INFINITY, f64::INFINITY) && !tolerance.is_exceeded(0.0, f64::INFINITY)
        );
    }
}
