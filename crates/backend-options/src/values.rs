//! The forms that values have in Triton's configs.

/// The largest number of threads that is taken for meant.
const MOST_THREADS: usize = 4096;

/// What a flag has to be, as the end of a sentence.
pub(crate) const FLAG: &str = "true or false";

/// What a number of threads has to be, as the end of a sentence.
pub(crate) const COUNT: &str = "a number of threads";

/// Parses a flag: 0, 1, true or false, in upper or lower case.
pub fn parse_flag(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Parses a plausible number of threads; -1, which leaves the choice to the server or the engine, becomes 0.
pub fn parse_count(value: &str) -> Option<usize> {
    if value.trim() == "-1" {
        return Some(0);
    }
    value.trim().parse().ok().filter(|count| *count <= MOST_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_forms_of_configs() {
        assert_eq!(
            ["1", " True", "0", "FALSE"].map(parse_flag),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!(["", "2", "on", "yes"].map(parse_flag), [None; 4]);
        assert_eq!(["0", "-1", " 7 ", "4096"].map(parse_count), [Some(0), Some(0), Some(7), Some(4096)]);
        assert_eq!(["", "-2", "4097", "1.5", "99999999999999999999"].map(parse_count), [None; 5]);
    }
}
