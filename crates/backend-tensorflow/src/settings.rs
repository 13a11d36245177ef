//! The settings of `--backend-config=tensorflow,KEY=VALUE`.

use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};

/// Settings of the backend, which all models of the process share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of TensorFlow's shared library, beside which its other part has to be.
    pub library: PathBuf,
    /// Where the library was searched for in vain; empty if its path is known. These places are checked again when the
    /// library is needed.
    pub looked_in: Vec<PathBuf>,
    /// Threads within an operation of each session whose model does not say it.
    pub intra_op_thread_count: usize,
    /// Threads across operations of each session whose model does not say it; `None` runs operations on the instance's own
    /// thread.
    pub inter_op_thread_count: Option<usize>,
}

/// Keys for other readers, or without a meaning here: there is no GPU to share, and an operation is placed where it can be.
const NOT_OURS: [&str; 7] = [
    "default_max_batch_size",
    "auto_complete_config",
    "backend_directory",
    "min_compute_capability",
    "enable_memory_tracker",
    "allow_soft_placement",
    "gpu_memory_fraction",
];

impl Settings {
    /// Settings for the library at this path. Operations may use as many threads as there are CPUs for this process.
    pub fn new(library: impl Into<PathBuf>) -> Settings {
        Settings {
            library: library.into(),
            looked_in: Vec::new(),
            intra_op_thread_count: std::thread::available_parallelism().map_or(1, Into::into),
            inter_op_thread_count: None,
        }
    }

    /// Settings for a library that was not found in any of these places.
    pub fn not_found(looked_in: Vec<PathBuf>) -> Settings {
        let library = looked_in.first().cloned().unwrap_or_default();
        Settings { looked_in, ..Settings::new(library) }
    }

    /// Applies options of the command line. Words in a key may be joined by `-` or `_`.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settings> {
        let mut settings = self;
        for (key, value) in options {
            match key.replace('-', "_").as_str() {
                "library" => (settings.library, settings.looked_in) = (value.into(), Vec::new()),
                "intra_op_thread_count" => {
                    let default = Settings::new("").intra_op_thread_count;
                    settings.intra_op_thread_count = count(key, value)?.unwrap_or(default);
                }
                "inter_op_thread_count" => settings.inter_op_thread_count = count(key, value)?,
                "version" if value.trim() == "2" => {}
                "version" => return Err(wrong(key, "2, the version of TensorFlow", value)),
                key if NOT_OURS.contains(&key) => {}
                _ => {
                    return Err(Error::invalid_arg(format!(
                        "backend 'tensorflow' has no option '{key}'; it has library, intra_op_thread_count, \
                         inter_op_thread_count, version and default-max-batch-size"
                    )));
                }
            }
        }
        Ok(settings)
    }

    /// The path where the library is now.
    pub(crate) fn library_now(&self) -> &Path {
        self.looked_in.iter().find(|place| place.is_file()).unwrap_or(&self.library)
    }
}

/// A number of threads; `None` for 0 and -1.
fn count(key: &str, value: &str) -> Result<Option<usize>> {
    let count = parse_count(value).ok_or_else(|| wrong(key, "a number of threads", value))?;
    Ok((count > 0).then_some(count))
}

/// Parses a plausible number of threads; -1, which leaves the choice to the server, becomes 0.
pub(crate) fn parse_count(value: &str) -> Option<usize> {
    if value.trim() == "-1" {
        return Some(0);
    }
    value.trim().parse().ok().filter(|count| *count <= 4096)
}

#[cold]
fn wrong(key: &str, expected: &str, got: &str) -> Error {
    Error::invalid_arg(format!(
        "option '{key}' of backend 'tensorflow' was expected to be {expected}, got '{got}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(options: &[(&str, &str)]) -> Result<Settings> {
        Settings::new("lib.so").with_options(options.iter().copied())
    }

    #[test]
    fn takes_tritons_options() {
        let settings = from(&[
            ("intra_op_thread_count", "3"),
            ("inter-op-thread-count", "4"),
            ("default-max-batch-size", "8"),
            ("allow-soft-placement", "true"),
            ("gpu-memory-fraction", "0.3"),
            ("version", "2"),
            ("library", "/opt/other.so"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.library, Path::new("/opt/other.so"));
        assert_eq!((settings.intra_op_thread_count, settings.inter_op_thread_count), (3, Some(4)));
        assert_eq!(from(&[("intra_op_thread_count", "-1")]).unwrap(), Settings::new("lib.so"));
        assert!(Settings::new("lib.so").intra_op_thread_count >= 1);
    }

    #[test]
    fn a_library_that_was_not_found_may_be_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["first", "second"].map(|name| folder.path().join(name));
        let settings = Settings::not_found(places.to_vec());
        assert_eq!(settings.library_now(), places[0]);
        std::fs::write(&places[1], "").unwrap();
        assert_eq!(settings.library_now(), places[1]);
        let named = settings.with_options([("library", "/opt/other.so")]).unwrap();
        assert_eq!((named.library_now(), named.looked_in.len()), (Path::new("/opt/other.so"), 0));
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |options: &[(&str, &str)]| from(options).unwrap_err().message().to_owned();
        assert_eq!(
            error(&[("version", "1")]),
            "option 'version' of backend 'tensorflow' was expected to be 2, the version of TensorFlow, got '1'"
        );
        assert_eq!(
            error(&[("intra_op_thread_count", "-2")]),
            "option 'intra_op_thread_count' of backend 'tensorflow' was expected to be a number of threads, got '-2'"
        );
        assert!(
            error(&[("threads", "1")]).starts_with("backend 'tensorflow' has no option 'threads'; it has")
        );
    }
}
