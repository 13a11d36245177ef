//! Changes for people: a unified diff, and the files that are moved.

use std::fmt::Write;
use std::path::Path;

use similar::TextDiff;

use super::Change;

/// The lines that are shown on each side of a change.
const CONTEXT: usize = 3;

pub(super) fn changes(path: &Path, change: &Change) -> String {
    let mut text = String::new();
    if change.before != change.after {
        let path = path.display().to_string();
        let diff = TextDiff::from_lines(&change.before, &change.after);
        text.push_str(&diff.unified_diff().context_radius(CONTEXT).header(&path, &path).to_string());
    }
    for (from, to) in &change.moves {
        let _ = writeln!(text, "move {} to {}", from.display(), to.display());
    }
    text
}
