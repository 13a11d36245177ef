//! The labels that tell the samples of a family apart.

use std::borrow::Cow;
use std::fmt::Write;

/// Labels that can be written to the page.
pub trait LabelSet {
    /// Appends `a="1",b="2"`; nothing if there are no labels.
    fn write(&self, text: &mut String);
}

impl LabelSet for [(&str, &str)] {
    fn write(&self, text: &mut String) {
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(text, "{comma}{name}=\"{}\"", escaped(value)).expect("a string takes everything");
        }
    }
}

impl<const N: usize> LabelSet for [(&str, &str); N] {
    fn write(&self, text: &mut String) {
        self[..].write(text);
    }
}

/// Labels that are formatted once and written in many families.
#[derive(Clone, Debug, Default)]
pub struct Series {
    text: String,
    /// Where [`Series::with`] inserts its label.
    middle: usize,
}

impl Series {
    /// Formats labels; [`Series::with`] can add one more between `before` and `after`.
    pub fn new(before: &[(&str, &str)], after: &[(&str, &str)]) -> Series {
        let mut text = String::new();
        before.write(&mut text);
        if !before.is_empty() && !after.is_empty() {
            text.push(',');
        }
        let middle = text.len();
        after.write(&mut text);
        Series { text, middle }
    }

    /// Returns these labels with one more between `before` and `after`.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Series {
        let (before, after) = self.text.split_at(self.middle);
        let mut text = before.to_owned();
        if !before.is_empty() && after.is_empty() {
            text.push(',');
        }
        [(name, value)].write(&mut text);
        let middle = text.len();
        if !after.is_empty() {
            text.push(',');
        }
        Series { text: text + after, middle }
    }
}

impl LabelSet for Series {
    fn write(&self, text: &mut String) {
        text.push_str(&self.text);
    }
}

/// A label's value with backslash, quote and line feed escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text
}

/// The help of a family with backslash and line feed escaped.
pub(super) fn escaped_help(help: &str) -> Cow<'_, str> {
    if help.contains(['\\', '\n']) {
        return help.replace('\\', "\\\\").replace('\n', "\\n").into();
    }
    help.into()
}
