//! The settings of `--backend-config=tensorflow,KEY=VALUE`.

use std::path::PathBuf;

use hippocamp_backend::Result;
use hippocamp_backend_options::BackendOption;
use hippocamp_engine_library::LibraryPath;

/// Settings of the backend, which all models of the process share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of TensorFlow's shared library, beside which its other part has to be.
    pub library: LibraryPath,
    /// Threads within an operation of each session whose model does not say it.
    pub intra_op_thread_count: usize,
    /// Threads across operations of each session whose model does not say it; `None` runs operations on the instance's own
    /// thread.
    pub inter_op_thread_count: Option<usize>,
    /// Whether what a config places on a GPU runs on the CPU, as nothing runs on a GPU here. Otherwise it is refused.
    pub allow_soft_placement: bool,
}

/// Options of Triton's backend without a meaning here: there is no GPU to share.
const NOT_OURS: [&str; 1] = ["gpu_memory_fraction"];

/// The options that there are, as the end of a sentence.
const KNOWN: &str = "library, intra_op_thread_count, inter_op_thread_count, allow-soft-placement, version and default-max-batch-size";

impl Settings {
    /// Settings for the library at this path. Operations may use as many threads as there are CPUs for this process.
    pub fn new(library: impl Into<PathBuf>) -> Settings {
        Settings {
            library: LibraryPath::at(library),
            intra_op_thread_count: std::thread::available_parallelism().map_or(1, Into::into),
            inter_op_thread_count: None,
            allow_soft_placement: true,
        }
    }

    /// Settings for a library that was not found in any of these places.
    pub fn not_found(looked_in: Vec<PathBuf>) -> Settings {
        Settings { library: LibraryPath::not_found(looked_in), ..Settings::new("") }
    }

    /// Applies options of the command line. Words in a key may be joined by `-` or `_`.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settings> {
        let mut settings = self;
        for option in options.into_iter().map(|each| BackendOption::new("tensorflow", each)) {
            match option.key() {
                "library" => settings.library = LibraryPath::at(option.value()),
                "intra_op_thread_count" => {
                    let default = Settings::new("").intra_op_thread_count;
                    settings.intra_op_thread_count = option.threads()?.unwrap_or(default);
                }
                "inter_op_thread_count" => settings.inter_op_thread_count = option.threads()?,
                "allow_soft_placement" => settings.allow_soft_placement = option.flag()?,
                "version" if option.value().trim() == "2" => {}
                "version" => return Err(option.wrong("2, the version of TensorFlow")),
                _ => option.pass_over(&NOT_OURS, KNOWN)?,
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        assert_eq!(settings.library, LibraryPath::at("/opt/other.so"));
        assert_eq!((settings.intra_op_thread_count, settings.inter_op_thread_count), (3, Some(4)));
        assert!(settings.allow_soft_placement);
        assert!(!from(&[("allow-soft-placement", "false")]).unwrap().allow_soft_placement);
        assert_eq!(from(&[("intra_op_thread_count", "-1")]).unwrap(), Settings::new("lib.so"));
        assert!(Settings::new("lib.so").intra_op_thread_count >= 1);
    }

    #[test]
    fn a_library_that_is_named_is_no_longer_looked_for() {
        let settings = Settings::not_found(vec!["first".into(), "second".into()]);
        assert_eq!(settings.library.now(), Path::new("first"));
        let named = settings.with_options([("library", "/opt/other.so")]).unwrap();
        assert_eq!(named.library, LibraryPath::at("/opt/other.so"));
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
