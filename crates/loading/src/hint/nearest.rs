//! The known name that was probably meant by an unknown one.

use strsim::osa_distance;

/// More slips than this make another name, however long the name is.
const MAX_SLIPS: usize = 4;

/// The known name that is nearest to `written`, if it is near enough to be a slip of the pen and no other is as near.
///
/// A slip is a letter too many, too few, changed, or swapped with its neighbour; one is allowed for every four letters.
/// Upper and lower case are the same. A name of which only the beginning or the end was written counts as near, too, but
/// less than any slip, and more if whole words were written.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    let mut is_only = true;
    for name in known {
        let Some(distance) = distance(&written, &name.to_lowercase()) else { continue };
        match best {
            Some((least, _)) if least < distance => {}
            Some((least, nearest)) if least == distance => is_only &= nearest == name,
            _ => (best, is_only) = (Some((distance, name)), true),
        }
    }
    best.filter(|_| is_only).map(|(_, name)| name)
}

/// How far a name is from what was written; `None` if it is another name.
fn distance(written: &str, name: &str) -> Option<usize> {
    let (length, other_length) = (written.chars().count(), name.chars().count());
    let limit = (length / 4).min(MAX_SLIPS);
    // Lengths that differ by more cannot be near, and a text of a megabyte is not compared.
    if length.abs_diff(other_length) <= limit {
        let slips = osa_distance(written, name);
        if slips <= limit {
            return Some(slips);
        }
    }
    if length < 3 {
        return None;
    }
    let mut rests = [name.strip_prefix(written), name.strip_suffix(written)].into_iter().flatten().peekable();
    rests.peek()?;
    let has_whole_words = rests.any(|rest| rest.starts_with('_') || rest.ends_with('_'));
    Some(MAX_SLIPS + if has_whole_words { 1 } else { 2 })
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

    #[test]
    fn of_names_that_are_equally_near_none_is_suggested() {
        let types = ["TYPE_BF16", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_INT8", "TYPE_UINT8"];
        let of = |written| nearest(written, types);
        assert_eq!(of("TYPE_FP23"), Some("TYPE_FP32"), "two letters are swapped");
        assert_eq!(of("TYPE_FP33"), Some("TYPE_FP32"));
        assert_eq!(of("TYPE_FP8"), None, "three names have other digits there");
        assert_eq!(of("TYPE"), None, "all begin with it");
        assert_eq!(of("INT8"), Some("TYPE_INT8"), "two end with it, and one of them with the whole word");
        assert_eq!(nearest("resnet5", ["resnet50", "resnet50"]), Some("resnet50"), "it is one name");
    }

    #[test]
    fn a_long_name_is_not_near_to_everything() {
        let known = "segmentation-of-streets-by-night-and-rain";
        assert_eq!(nearest("segmentation-of-streets-by-night-and-rian", [known]), Some(known));
        assert_eq!(nearest("segmentation-of-forests-by-day-and-sunshine", [known]), None);
    }
}
