//! Escapes characters that would end a log line, hide a part of it or change the order in which it is displayed.
//! Clients and files can contain them; each log event has to stay one line that shows its real content.

#![warn(missing_docs)]

use std::fmt::{self, Write};

/// Whether a character is escaped: control characters, line and paragraph separators, bidirectional marks, and
/// characters without width.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes text for people: hidden characters become `\u{...}` or the like, the rest is unchanged.
#[allow(missing_debug_implementations, reason = "it lives for one write")]
pub struct Visible<'a>(pub &'a mut dyn Write);

impl Write for Visible<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_parts(self.0, text, is_hidden, |to, c| write!(to, "{}", c.escape_default()))
    }
}

/// Writes the inside of a JSON string, with hidden characters escaped as well.
#[allow(missing_debug_implementations, reason = "it lives for one write")]
pub struct JsonText<'a>(pub &'a mut dyn Write);

impl Write for JsonText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let escaped = |c| matches!(c, '"' | '\\') || is_hidden(c);
        write_parts(self.0, text, escaped, |to, c| match c {
            '"' | '\\' => write!(to, "\\{c}"),
            '\n' => to.write_str("\\n"),
            '\r' => to.write_str("\\r"),
            '\t' => to.write_str("\\t"),
            _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(to, "\\u{unit:04x}")),
        })
    }
}

/// Writes runs of characters that need no escape at once.
fn write_parts(
    to: &mut dyn Write,
    text: &str,
    escaped: impl Fn(char) -> bool,
    mut escape: impl FnMut(&mut dyn Write, char) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(&escaped) {
        to.write_str(&rest[..at])?;
        let Some(c) = rest[at..].chars().next() else { break };
        escape(to, c)?;
        rest = &rest[at + c.len_utf8()..];
    }
    to.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        let mut line = String::new();
        Visible(&mut line).write_str(text).unwrap();
        line
    }

    fn json(text: &str) -> String {
        let mut line = String::new();
        JsonText(&mut line).write_str(text).unwrap();
        line
    }

    #[test]
    fn what_ends_or_turns_a_line_is_shown() {
        assert_eq!(visible("a\nb\r\tc"), r"a\nb\r\tc");
        assert_eq!(visible("\0\u{1b}[31m\u{7f}\u{85}"), r"\u{0}\u{1b}[31m\u{7f}\u{85}");
        assert_eq!(
            visible("\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}"),
            r"\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}"
        );
        assert_eq!(visible("\u{feff}\u{e0041}"), r"\u{feff}\u{e0041}");
        let plain = r#"übung 東京 'x' "y" C:\models 😀"#;
        assert_eq!(visible(plain), plain, "what is seen stays as it is");
    }

    #[test]
    fn json_stays_json() {
        assert_eq!(json("a\"b\\c\nd\0"), r#"a\"b\\c\nd\u0000"#);
        assert_eq!(json("\u{2028}\u{e0041}"), r"\u2028\udb40\udc41");
        assert_eq!(json("übung 東京 😀"), "übung 東京 😀");
    }
}
