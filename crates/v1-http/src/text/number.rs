//! Floats as C++ writes them in the text format: the shortest of 6 digits and of as many as the type needs.

/// A single-precision number.
pub(super) fn float(value: f32) -> String {
    let short = general(f64::from(value), 6);
    if short.parse() == Ok(value) { short } else { special(f64::from(value), &short, 9) }
}

/// A double-precision number.
pub(super) fn double(value: f64) -> String {
    let short = general(value, 15);
    if short.parse() == Ok(value) { short } else { special(value, &short, 17) }
}

/// With more digits, or as it is if it is no finite number.
fn special(value: f64, short: &str, digits: usize) -> String {
    if value.is_finite() { general(value, digits) } else { short.to_owned() }
}

/// What `%.Ng` prints.
fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

/// Without zeros at the end of decimals.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_where_that_is_exact() {
        let cases = [
            (0.5, "0.5"),
            (1.0, "1"),
            (-3.25, "-3.25"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.333333343"),
            (1e-5, "1e-05"),
            (-0.0, "-0"),
            (f32::INFINITY, "inf"),
            (f32::NEG_INFINITY, "-inf"),
            (f32::NAN, "nan"),
            (16_777_216.0, "16777216"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
        assert_eq!(double(0.1), "0.1");
        assert_eq!(double(1.0 / 3.0), "0.33333333333333331");
    }
}
