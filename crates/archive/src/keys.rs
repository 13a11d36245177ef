//! The settings of TorchServe's files by name: those that mean something here, and those without effect, each with the reason.

use strsim::osa_distance;

/// Values that say what is so here in any case: nothing is to be said of them.
pub type Usual = &'static [&'static str];

/// The settings that one kind of file has.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Those that mean something.
    pub honoured: &'static [&'static str],
    /// Those without effect, with the values that are usual, and why. Of one whose reason is empty nothing is said.
    pub without_effect: &'static [(&'static str, Usual, &'static str)],
    /// Why any other has none.
    pub others: &'static str,
}

impl Keys {
    /// Whether there is a setting of that name.
    pub fn knows(&self, name: &str) -> bool {
        self.honoured.contains(&name) || self.reason(name).is_some()
    }

    /// The setting that a name probably means which there is not.
    pub fn meant(&self, name: &str) -> Option<&'static str> {
        nearest(
            name,
            self.honoured.iter().copied().chain(self.without_effect.iter().map(|(known, ..)| *known)),
        )
    }

    fn reason(&self, name: &str) -> Option<&'static (&'static str, Usual, &'static str)> {
        self.without_effect.iter().find(|(known, ..)| *known == name)
    }

    /// What is said of a setting that nothing is done with; `None` if the value is what is so anyhow.
    pub fn fault(&self, name: &str, value: &str) -> Option<String> {
        if let Some((_, usual, why)) = self.reason(name) {
            let says_something = !value.is_empty() && !why.is_empty();
            let is_so = usual.iter().any(|each| each.eq_ignore_ascii_case(value));
            return (says_something && !is_so).then(|| format!("'{name}' has no effect: {why}"));
        }
        let meant = self.meant(name);
        let name = name[..name.floor_char_boundary(80)].escape_debug();
        Some(match meant {
            Some(meant) => format!("'{name}' has no effect: was '{meant}' meant?"),
            None => format!("'{name}' has no effect: {}", self.others),
        })
    }
}

/// The name that was probably meant: with one letter in four wrong at most.
fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['_', '-', '.'], "").to_lowercase();
    let written = plain(written);
    // A text of a megabyte is not compared.
    let near = names.filter(|name| name.len() / 4 + name.len() + 4 > written.len());
    let (distance, name) = near
        .map(|name| (osa_distance(&written, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= written.len() / 4).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys {
        honoured: &["batchSize"],
        without_effect: &[("deviceKind", &["cpu"], "there is one kind"), ("version", &[], "")],
        others: "nobody reads it",
    };

    #[test]
    fn a_setting_has_a_reason_or_a_name_that_was_meant() {
        for (name, value, expected) in [
            ("deviceKind", "gpu", Some("'deviceKind' has no effect: there is one kind")),
            ("deviceKind", "CPU", None),
            ("deviceKind", "", None),
            ("version", "1", None),
            ("batch_size", "4", Some("'batch_size' has no effect: was 'batchSize' meant?")),
            ("bathSize", "4", Some("'bathSize' has no effect: was 'batchSize' meant?")),
            ("x", "4", Some("'x' has no effect: nobody reads it")),
            ("", "4", Some("'' has no effect: nobody reads it")),
        ] {
            assert_eq!(KEYS.fault(name, value).as_deref(), expected, "{name}");
        }
        let long = KEYS.fault(&"x\n".repeat(1 << 20), "").unwrap();
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    }
}
