//! The rules for model names.

use thiserror::Error;

/// What is wrong with a model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameFault {
    #[error("it is empty")]
    Empty,
    #[error("it contains a path separator")]
    Separator,
    #[error("it is only white space")]
    Blank,
    #[error("it contains a control character")]
    Control,
    #[error("it begins with a dot")]
    Dot,
}

/// Checks a name before it becomes part of a path. Clients send names as well, and no name may lead out of a repository.
pub fn check_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.starts_with('.') {
        return Err(NameFault::Dot);
    }
    if name.contains(['/', '\\']) {
        return Err(NameFault::Separator);
    }
    if name.contains(char::is_control) {
        return Err(NameFault::Control);
    }
    if name.trim().is_empty() {
        return Err(NameFault::Blank);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_leave_the_repository() {
        for good in ["simple", "a-b_c.d", "übung", "v1:x", "two words"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_name(""), Err(NameFault::Empty));
        for dots in ["..", ".", ".git"] {
            assert_eq!(check_name(dots), Err(NameFault::Dot));
        }
        for path in ["a/b", "/etc", "a\\b", "x/.."] {
            assert_eq!(check_name(path), Err(NameFault::Separator));
        }
        for control in ["a\n", "a\0", "\t"] {
            assert_eq!(check_name(control), Err(NameFault::Control));
        }
        assert_eq!(check_name("  "), Err(NameFault::Blank));
    }
}
