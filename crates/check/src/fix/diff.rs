//! Changes for people: a unified diff, and the files that are moved.

use std::fmt::Write;
use std::path::Path;

use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

use super::Change;

pub(super) fn changes(path: &Path, change: &Change) -> String {
    let mut text = String::new();
    if change.before != change.after {
        let path = path.display();
        let _ = write!(text, "--- {path}\n+++ {path}\n{}", unified(&change.before, &change.after));
    }
    for (from, to) in &change.moves {
        let _ = writeln!(text, "move {} to {}", from.display(), to.display());
    }
    text
}

/// The changed lines with three lines around them.
fn unified(before: &str, after: &str) -> String {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    diff.unified_diff(&BasicLineDiffPrinter(&input.interner), UnifiedDiffConfig::default(), &input)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_shown_with_what_is_around_them() {
        let before = "one\ntwo\nthree\nfour\nfive\nsix\n";
        let after = "one\ntwo\nthree\nfour\n5\nsix\nseven";
        let expected = "@@ -2,5 +2,6 @@\n two\n three\n four\n-five\n+5\n six\n+seven\n";
        assert_eq!(unified(before, after), expected);
    }
}
