//! Which URLs may be fetched.

use regex::{RegexSet, RegexSetBuilder};
use reqwest::Url;

use crate::addresses::is_public;

/// Which URLs may be fetched.
#[derive(Clone, Debug, Default)]
pub enum Allowed {
    /// Those whose host has an address on the public internet.
    #[default]
    Public,
    /// Those that match one of these as a whole, wherever their host is.
    Matching(RegexSet),
}

impl Allowed {
    /// Patterns as `allowed_urls` of TorchServe has them: regular expressions with commas between them, for which upper and lower
    /// case are the same.
    pub fn matching(patterns: &str) -> Result<Allowed, String> {
        let each = patterns.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        let whole = each.map(|pattern| format!("^(?:{pattern})$"));
        let set = RegexSetBuilder::new(whole).case_insensitive(true).build();
        set.map(Allowed::Matching).map_err(|error| error.to_string())
    }

    /// Whether a URL may be fetched, as far as it shows: a host's name may stand for an address that may not.
    pub(crate) fn admits(&self, url: &Url) -> bool {
        match self {
            Allowed::Matching(patterns) => patterns.is_match(url.as_str()),
            Allowed::Public => {
                let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
                host.parse().map_or(!host.is_empty(), is_public)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(allowed: &Allowed, url: &str) -> bool {
        allowed.admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn patterns_match_whole_urls() {
        let allowed =
            Allowed::matching("https://models\\.example/.*, HTTP://10\\.0\\.0\\.1(:80)?/a\\.mar").unwrap();
        for url in ["https://models.example/x/y.mar", "https://MODELS.example/a", "http://10.0.0.1/a.mar"] {
            assert!(admits(&allowed, url), "{url}");
        }
        for url in [
            "http://models.example/x.mar",
            "https://evil.example/?https://models.example/x",
            "https://models.example.evil/x",
            "http://10.0.0.1/a.mar.exe",
        ] {
            assert!(!admits(&allowed, url), "{url}");
        }
        assert!(!admits(&Allowed::matching("").unwrap(), "http://a/"));
        assert!(Allowed::matching("(").is_err());
    }

    #[test]
    fn without_patterns_addresses_are_public_ones() {
        for url in ["https://models.example/x.mar", "http://8.8.8.8/x.mar", "http://[2606:4700::1]/x.mar"] {
            assert!(admits(&Allowed::Public, url), "{url}");
        }
        for url in [
            "http://127.0.0.1/a",
            "http://0x7f.1/a",
            "http://2130706433/a",
            "http://[::1]/a",
            "http://169.254.169.254/",
        ] {
            assert!(!admits(&Allowed::Public, url), "{url}");
        }
    }
}
