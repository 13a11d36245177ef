//! The protobuf text format of config.pbtxt: text to tokens, tokens to a tree with places, the tree to messages.
//!
//! No I/O is done here. Parsing continues after a fault, so that all faults are reported together. Time and memory are linear in
//! the length of the text, and the depth of nesting is limited.

mod ast;
mod edit;
mod lexer;
mod literal;
mod lower;
mod parser;
mod scalar;
mod write;

#[cfg(test)]
mod tests;

pub use edit::{Edit, edited, written_values};
pub(crate) use parser::shown;
pub use write::to_text;

use crate::{ModelConfig, Spans, schema};
use hippocamp_interface::{Faults, Position};

/// Bytes that a config may have. The largest ones seen in the wild have less than a tenth of this.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// What [`parse`] makes of a text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Exactly what was written: no defaults, nothing checked but names, types and ranges of numbers.
    pub config: ModelConfig,
    pub spans: Spans,
}

/// Reads a config.pbtxt. `origin` is what the text is called in messages. An empty text is an empty config.
pub fn parse(text: &str, origin: &str) -> Result<Parsed, Faults> {
    let mut faults = Faults::new(origin);
    if text.len() > MAX_TEXT {
        faults.push(None, "", format!("the text has {} bytes, expected at most {MAX_TEXT}", text.len()));
        return Err(faults);
    }
    if let Some(format) = other_format(text) {
        let message =
            format!("the text is {format}, expected the protobuf text format, as in 'max_batch_size: 8'");
        faults.push(Some(Position { line: 1, column: 1 }), "", message);
        return Err(faults);
    }
    let tree = parser::parse(text, &mut faults);
    let (message, spans) = lower::lower(&tree, &mut faults);
    // Syntax faults were found before the others, but a reader goes through the text from top to bottom.
    faults.faults.sort_by_key(|fault| (fault.line, fault.column));
    faults.into_result(())?;
    Ok(Parsed { config: schema::to_typed(&message), spans })
}

/// What the text is instead of a config, by its beginning. No config begins with a bracket.
fn other_format(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins_with =
        |start: &str| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if begins_with("{") {
        Some("JSON")
    } else if begins_with("<!doctype html") || begins_with("<html") {
        Some("an HTML page")
    } else if begins_with("<?xml") {
        Some("XML")
    } else if begins_with("version https://git-lfs.github.com/spec/") {
        Some("a Git LFS pointer")
    } else {
        None
    }
}
