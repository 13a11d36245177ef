//! Changes for people: a unified diff, and the files that are moved.

use std::fmt::Write;
use std::path::Path;

use imara_diff::{Algorithm, Diff, Hunk, InternedInput};

use super::Change;

/// The lines that are shown on each side of a change.
const CONTEXT: u32 = 3;

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

/// The changed lines with [`CONTEXT`] lines around them. The library's own printer tells another first line than it prints where a
/// change is near the beginning.
fn unified(before: &str, after: &str) -> String {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    // Changes whose surroundings meet are shown as one.
    let mut groups: Vec<Vec<Hunk>> = Vec::new();
    for hunk in diff.hunks() {
        match groups.last_mut() {
            Some(group)
                if group.last().is_some_and(|last| hunk.before.start <= last.before.end + 2 * CONTEXT) =>
            {
                group.push(hunk);
            }
            _ => groups.push(vec![hunk]),
        }
    }
    groups.iter().map(|group| shown(group, &old, &new)).collect()
}

/// Changes with what is between and around them.
fn shown(group: &[Hunk], old: &[&str], new: &[&str]) -> String {
    let [first, ..] = group else { return String::new() };
    let last = &group[group.len() - 1];
    let begin = first.before.start.saturating_sub(CONTEXT);
    let end = (last.before.end + CONTEXT).min(old.len() as u32);
    let around = (first.before.start - begin, end - last.before.end);
    let new_begin = first.after.start - around.0;
    let new_end = last.after.end + around.1;
    // A part without lines is named by the line before it.
    let place =
        |begin: u32, end: u32| format!("{},{}", if end > begin { begin + 1 } else { begin }, end - begin);
    let mut text = format!("@@ -{} +{} @@\n", place(begin, end), place(new_begin, new_end));
    let mut add = |mark: char, lines: &[&str]| {
        for line in lines {
            text.push(mark);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    };
    let mut at = begin;
    for hunk in group {
        add(' ', &old[at as usize..hunk.before.start as usize]);
        add('-', &old[hunk.before.start as usize..hunk.before.end as usize]);
        add('+', &new[hunk.after.start as usize..hunk.after.end as usize]);
        at = hunk.before.end;
    }
    add(' ', &old[at as usize..end as usize]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_shown_with_what_is_around_them() {
        let before = "one\ntwo\nthree\nfour\nfive\nsix\n";
        let after = "one\ntwo\nthree\nfour\n5\nsix\nseven";
        let expected =
            "@@ -2,5 +2,6 @@\n two\n three\n four\n-five\n+5\n six\n+seven\n\\ No newline at end of file\n";
        assert_eq!(unified(before, after), expected);
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(unified("a\n", ""), "@@ -1,1 +0,0 @@\n-a\n");
        assert_eq!(unified("a\n", "a\n"), "");
    }

    #[test]
    fn changes_far_from_each_other_are_apart() {
        let lines = |changed: &[usize]| -> String {
            (1..=20)
                .map(|n| if changed.contains(&n) { format!("x{n}\n") } else { format!("{n}\n") })
                .collect()
        };
        let text = unified(&lines(&[]), &lines(&[1, 8, 20]));
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("@@")).collect();
        assert_eq!(heads, ["@@ -1,11 +1,11 @@", "@@ -17,4 +17,4 @@"], "{text}");
    }
}
