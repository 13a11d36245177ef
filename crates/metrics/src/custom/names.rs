//! Which names of families and labels Prometheus can read, and which would be there twice.

use std::collections::BTreeMap;

use super::MetricFault;
use crate::Kind;

/// What a histogram's samples have behind its name.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(super) fn check_family(name: &str) -> Result<(), MetricFault> {
    if is_name(name, true) {
        return Ok(());
    }
    let shown: String = name.chars().take(200).collect();
    Err(MetricFault::invalid(format!(
        "metric family '{}': a name has letters, digits, '_' and ':', and does not begin with a digit",
        shown.escape_debug()
    )))
}

/// Checks that no sample of a new family has the name of a sample of another one.
pub(super) fn check_samples(
    name: &str,
    kind: Kind,
    kind_of: impl Fn(&str) -> Option<Kind>,
) -> Result<(), MetricFault> {
    for suffix in SUFFIXES {
        let Some(base) = name.strip_suffix(suffix) else { continue };
        let base_kind = kind_of(base);
        let has_sample = match base_kind {
            Some(Kind::Histogram) => true,
            Some(Kind::Summary) => suffix != "_bucket",
            _ => false,
        };
        if has_sample {
            let base_kind = base_kind.map_or("", Kind::name);
            return Err(MetricFault::invalid(format!(
                "metric family '{name}': the {base_kind} '{base}' has samples of that name"
            )));
        }
    }
    for suffix in SUFFIXES {
        let sample = format!("{name}{suffix}");
        if kind == Kind::Histogram && kind_of(&sample).is_some() {
            return Err(MetricFault::invalid(format!(
                "metric family '{name}': a histogram has samples '{sample}', which is another family's name"
            )));
        }
    }
    Ok(())
}

/// The labels in the order of their names, each once.
pub(super) fn check_labels<'a>(
    family: &str,
    kind: Kind,
    labels: &[(&'a str, &'a str)],
) -> Result<Vec<(&'a str, &'a str)>, MetricFault> {
    for (name, _) in labels {
        let is_taken = kind == Kind::Histogram && *name == "le";
        if !is_name(name, false) || name.starts_with("__") || is_taken {
            let shown: String = name.chars().take(200).collect();
            let why = if is_taken {
                "the buckets of a histogram have a label of that name"
            } else {
                "a label's name has letters, digits and '_', and begins with neither a digit nor '__'"
            };
            let shown = shown.escape_debug();
            return Err(MetricFault::invalid(format!("metric family '{family}', label '{shown}': {why}")));
        }
    }
    Ok(labels.iter().copied().collect::<BTreeMap<_, _>>().into_iter().collect())
}

fn is_name(name: &str, colons: bool) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.bytes().all(is_part)
}
