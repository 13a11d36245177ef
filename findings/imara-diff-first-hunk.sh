#!/usr/bin/env bash
# imara-diff 0.2.0 (the registry of Rust): do the headers that its unified printer writes name the first lines of their hunks?
#
# Guess:   yes, and hunks begin with at most as many unchanged lines as UnifiedDiffConfig says, 3 by default.
# Seen:    a change of line 5 or 6 is printed from line 1 on, with 4 or 5 lines before it, under a header that says line 2 or 3. Changes
#          before and behind are printed rightly. `git apply` looks for the place by itself, and takes all of them.
# Follows: whoever shows the header's numbers to people, or goes by them, prints hunks by himself, from Diff::hunks, which are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "prints"
version = "0.0.0"
edition = "2024"
[dependencies]
imara-diff = "=0.2.0"
TOML
cat >"$work/src/main.rs" <<'RUST'
use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

/// Twelve lines, of which one is changed.
fn main() {
    let changed: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let before: String = (1..=12).map(|number| format!("line {number}\n")).collect();
    let after = before.replace(&format!("line {changed}\n"), "changed\n");
    let input = InternedInput::new(before.as_str(), after.as_str());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let hunks: Vec<_> = diff.hunks().map(|hunk| hunk.before).collect();
    assert_eq!(hunks, [changed as u32 - 1..changed as u32]);
    let printer = BasicLineDiffPrinter(&input.interner);
    print!("{}", diff.unified_diff(&printer, UnifiedDiffConfig::default(), &input));
}
RUST
CARGO_TARGET_DIR="$work/target" cargo build --quiet --manifest-path "$work/Cargo.toml"
seq -f 'line %g' 12 >"$work/text"
git -C "$work" init --quiet
# Prints header and first line of the diff, and whether git takes it.
shown() {
    { printf -- '--- a/text\n+++ b/text\n' && "$work/target/debug/prints" "$1"; } >"$work/$1.diff"
    local taken=refused
    ! git -C "$work" apply --check "$work/$1.diff" 2>/dev/null || taken=taken
    echo "$(sed -n 3p "$work/$1.diff"), then '$(sed -n 4p "$work/$1.diff")', $taken"
}
for changed in 4 5 6 10; do
    shown "$changed" | sed "s/^/line $changed changed: /"
done | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
line 4 changed: @@ -1,7 +1,7 @@, then ' line 1', taken
line 5 changed: @@ -2,8 +2,8 @@, then ' line 1', taken
line 6 changed: @@ -3,9 +3,9 @@, then ' line 1', taken
line 10 changed: @@ -7,6 +7,6 @@, then ' line 7', taken
SEEN
