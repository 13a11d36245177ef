//! Writes the text format as C++ does, in one line or in many.

use itoa::{Buffer, Integer};

/// The text of one message.
#[derive(Debug)]
pub(super) struct Writer {
    text: String,
    /// How deep the current message is nested; `None` if everything is one line.
    depth: Option<usize>,
}

impl Writer {
    /// Writes one line, without a blank at its end.
    pub(super) fn line(capacity: usize) -> Writer {
        Writer { text: String::with_capacity(capacity), depth: None }
    }

    /// Writes a line for each field.
    pub(super) fn lines() -> Writer {
        Writer { text: String::new(), depth: Some(0) }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// What stands in front of a field.
    fn begin(&mut self) {
        match self.depth {
            Some(depth) => self.text.extend(std::iter::repeat_n("  ", depth)),
            None if self.text.is_empty() => {}
            None => self.text.push(' '),
        }
    }

    fn end(&mut self) {
        if self.depth.is_some() {
            self.text.push('\n');
        }
    }

    fn name(&mut self, name: &str) {
        self.begin();
        self.text.push_str(name);
        self.text.push_str(": ");
    }

    pub(super) fn integer<I: Integer>(&mut self, name: &str, value: I) {
        self.word(name, Buffer::new().format(value));
    }

    /// A number that was formatted, the name of a value of an enum, or a truth value.
    pub(super) fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.text.push_str(word);
        self.end();
    }

    /// A text, or bytes. What is not printable ASCII is escaped, so that the whole is one line.
    pub(super) fn string(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.text.push('"');
        for &byte in value {
            match byte {
                b'\n' => self.text.push_str("\\n"),
                b'\r' => self.text.push_str("\\r"),
                b'\t' => self.text.push_str("\\t"),
                b'"' | b'\'' | b'\\' => {
                    self.text.push('\\');
                    self.text.push(char::from(byte));
                }
                b' '..=b'~' => self.text.push(char::from(byte)),
                other => {
                    self.text.push('\\');
                    let digit = |shift: u32| char::from(b'0' + (other >> shift & 7));
                    self.text.extend([digit(6), digit(3), digit(0)]);
                }
            }
        }
        self.text.push('"');
        self.end();
    }

    /// Begins a message within the message.
    pub(super) fn open(&mut self, name: &str) {
        self.begin();
        self.text.push_str(name);
        self.text.push_str(" {");
        self.end();
        self.depth = self.depth.map(|depth| depth + 1);
    }

    pub(super) fn close(&mut self) {
        self.depth = self.depth.map(|depth| depth.saturating_sub(1));
        self.begin();
        self.text.push('}');
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(mut writer: Writer) -> String {
        writer.integer("a", -1);
        writer.open("m");
        writer.string("s", "q\"'\\ é\n\u{1}".as_bytes());
        writer.open("empty");
        writer.close();
        writer.close();
        writer.word("w", "TYPE");
        writer.into_text()
    }

    #[test]
    fn a_line_has_single_blanks() {
        let expected = r#"a: -1 m { s: "q\"\'\\ \303\251\n\001" empty { } } w: TYPE"#;
        assert_eq!(write(Writer::line(0)), expected);
    }

    #[test]
    fn lines_are_indented() {
        let expected = "a: -1\nm {\n  s: \"q\\\"\\'\\\\ \\303\\251\\n\\001\"\n  empty {\n  }\n}\nw: TYPE\n";
        assert_eq!(write(Writer::lines()), expected);
    }
}
