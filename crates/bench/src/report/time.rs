//! Times for people.

/// A time in the unit that suits it: `85 us`, `1.25 ms`, `3.5 s`.
pub(crate) fn duration(nanos: u64) -> String {
    let nanos = nanos as f64;
    let (value, unit) = match nanos {
        _ if nanos >= 1e9 => (nanos / 1e9, "s"),
        _ if nanos >= 1e6 => (nanos / 1e6, "ms"),
        _ if nanos >= 1e3 => (nanos / 1e3, "us"),
        _ => (nanos, "ns"),
    };
    let digits = if value >= 100.0 { 0 } else { 2 - usize::from(value >= 10.0) };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (85_300, "85.3 us"),
            (1_250_000, "1.25 ms"),
            (500_000_000, "500 ms"),
            (3_500_000_000, "3.5 s"),
        ];
        for (nanos, want) in cases {
            assert_eq!(duration(nanos), want);
        }
    }
}
