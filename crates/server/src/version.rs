//! What `--version` says: the version, and what the binary was built of.

use std::sync::LazyLock;

/// The features of the build, as Cargo names them.
const FEATURES: [(&str, bool); 11] = [
    ("onnxruntime", cfg!(feature = "onnxruntime")),
    ("tensorrt", cfg!(feature = "tensorrt")),
    ("tensorflow", cfg!(feature = "tensorflow")),
    ("pytorch", cfg!(feature = "pytorch")),
    ("triton", cfg!(feature = "triton")),
    ("builtin", cfg!(feature = "builtin")),
    ("vision", cfg!(feature = "vision")),
    ("client", cfg!(feature = "client")),
    ("object-store", cfg!(feature = "object-store")),
    ("opentelemetry", cfg!(feature = "opentelemetry")),
    ("cuda", cfg!(feature = "cuda")),
];

/// The text behind the program's name. `-V` shows its first line only.
pub(crate) fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(text);
    &TEXT
}

fn text() -> String {
    let commit = option_env!("HIPPOCAMP_COMMIT").filter(|commit| !commit.is_empty());
    let features: Vec<&str> = FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    format!(
        "{}\ncommit: {}\ntarget: {}\nprofile: {}\nfeatures: {}",
        env!("CARGO_PKG_VERSION"),
        commit.unwrap_or("not told to the build by HIPPOCAMP_COMMIT"),
        env!("HIPPOCAMP_TARGET"),
        env!("HIPPOCAMP_PROFILE"),
        features.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_the_manifest_is_told() {
        let manifest = include_str!("../Cargo.toml");
        let section = manifest.split_once("[features]\n").unwrap().1.split("\n[").next().unwrap();
        let lines = section.lines().filter(|line| !line.starts_with('#'));
        let features = lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
        let named: Vec<&str> = features.filter(|name| *name != "default").collect();
        assert_eq!(named, FEATURES.map(|(name, _)| name));
    }

    #[test]
    fn the_first_line_is_the_version() {
        let text = long();
        assert_eq!(text.lines().next(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
