//! What the backend's command line can name: it hands paths to a shell as they are, without quotes.

use std::path::Path;

/// What ends a word of the shell's or means something else in one. Patterns stay as they are where nothing else fits them.
const SPECIAL: &str = "'\"\\$`;&|<>()";

/// Whether a path gets to a stub as it is.
///
/// # Errors
/// What in it does not, and what helps: a whole text, without the model's name. `what` is what the path is of.
pub fn check_path(what: &str, path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    let Some(found) = text.chars().find(|c| c.is_whitespace() || SPECIAL.contains(*c)) else { return Ok(()) };
    let named = match found {
        ' ' => "a space".to_owned(),
        c if c.is_whitespace() => format!("the character U+{:04X}", u32::from(c)),
        c => format!("'{c}'"),
    };
    Err(format!(
        "the path of {what}, '{text}', has {named} in it, and the Python backend names it to a shell without quotes: give \
         the folder another name, or reach it by a link whose path has no spaces, no quotes and none of \\ $ ` ; & | < > ( )"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_cut_or_execute_is_named() {
        let check = |path: &str| check_path("the model", Path::new(path));
        for path in ["/models/m", "/a-b_c.d+e@f:g,h=i%j", "/ä/模型", "/a*b/{c}~#!^[d]?"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for (path, expected) in [
            ("/my models/m", "the path of the model, '/my models/m', has a space in it"),
            ("/m\tn", "U+0009"),
            ("/m\nn", "U+000A"),
            ("/it's", "has ''' in it"),
            ("/a;rm", "has ';' in it"),
            ("/$HOME", "has '$' in it"),
            ("/a\\b", "has '\\' in it"),
        ] {
            let told = check(path).unwrap_err();
            assert!(told.contains(expected) && told.contains("reach it by a link"), "{told}");
        }
    }
}
