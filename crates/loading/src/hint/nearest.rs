//! The name that was probably meant.

/// The known name that is nearest to `written`, if one is near enough to be a slip: one letter in four. Names of any length
/// are taken.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.to_lowercase().chars().take(64).collect();
    let limit = written.len() / 4;
    let distances = known.into_iter().map(|name| {
        let name_chars: Vec<char> = name.to_lowercase().chars().take(64).collect();
        (rank(&written, &name_chars, limit), name)
    });
    distances.filter_map(|(rank, name)| Some((rank?, name))).min().map(|(_, name)| name)
}

/// Slips between two names; a name that only lacks its beginning or its end counts as near.
fn rank(written: &[char], name: &[char], limit: usize) -> Option<usize> {
    let slips = slips(written, name);
    if slips <= limit {
        return Some(slips);
    }
    let is_part = written.len() >= 3 && (name.starts_with(written) || name.ends_with(written));
    is_part.then_some(limit + 1)
}

/// Letters to insert, remove or change.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_beginnings_and_nothing_far() {
        let known = ["max_batch_size", "input", "output", "TYPE_FP32", "TYPE_FP16"];
        let of = |written| nearest(written, known);
        assert_eq!(of("max_batchsize"), Some("max_batch_size"));
        assert_eq!(of("inputs"), Some("input"));
        assert_eq!(of("FP32"), Some("TYPE_FP32"));
        assert_eq!(of("max_batch"), Some("max_batch_size"));
        assert_eq!(of("type_fp16"), Some("TYPE_FP16"));
        assert_eq!(of("scheduling"), None);
        assert_eq!(nearest("fil", ["fail"]), None, "a name of three letters is another name if one differs");
        assert_eq!(nearest("Fail", ["fail"]), Some("fail"));
        assert_eq!(of(""), None);
        assert_eq!(of(&"x".repeat(10_000)), None);
    }
}
