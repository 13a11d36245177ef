//! The settings of `--backend-config=pytorch,KEY=VALUE`.

use std::path::PathBuf;

use hippocamp_backend::Result;
use hippocamp_backend_options::BackendOption;
use hippocamp_engine_library::LibraryPath;

/// Settings of the backend, which all models of the process share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The path of PyTorch's shared library, `libtorch_cpu.so`.
    pub library: LibraryPath,
    /// The path of the library that `scripts/torch-shim` builds; `None` if it is beside the other.
    pub shim: Option<PathBuf>,
    /// Threads within an operation of each model that does not say it; `None` divides the CPUs among the instances of a model.
    pub intra_op_thread_count: Option<usize>,
    /// Threads for parts of models that run at the same time; `None` leaves it to the library.
    pub inter_op_thread_count: Option<usize>,
}

/// What the library that `scripts/torch-shim` builds is called.
pub(crate) const SHIM: &str = "libhippocamp_torch.so";

/// The keys, as the end of a sentence.
const KNOWN: &str = "library, shim, intra_op_thread_count, inter_op_thread_count and default-max-batch-size";

impl Settings {
    /// Settings for the library at this path.
    pub fn new(library: impl Into<PathBuf>) -> Settings {
        Settings { library: LibraryPath::at(library), ..Settings::default() }
    }

    /// Settings for a library that was not found in any of these places.
    pub fn not_found(looked_in: Vec<PathBuf>) -> Settings {
        Settings { library: LibraryPath::not_found(looked_in), ..Settings::new("") }
    }

    /// Applies options of the command line. Words in a key may be joined by `-` or `_`.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settings> {
        let mut settings = self;
        for option in options.into_iter().map(|each| BackendOption::new("pytorch", each)) {
            match option.key() {
                "library" => settings.library = LibraryPath::at(option.value()),
                "shim" => settings.shim = Some(option.value().into()),
                "intra_op_thread_count" => settings.intra_op_thread_count = option.threads()?,
                "inter_op_thread_count" => settings.inter_op_thread_count = option.threads()?,
                _ => option.pass_over(&[], KNOWN)?,
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
    fn takes_its_options() {
        let settings = from(&[
            ("intra_op_thread_count", "3"),
            ("inter-op-thread-count", "4"),
            ("default-max-batch-size", "8"),
            ("library", "/opt/other.so"),
            ("shim", "/opt/shim.so"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.library, LibraryPath::at("/opt/other.so"));
        assert_eq!(settings.shim.as_deref(), Some(Path::new("/opt/shim.so")));
        assert_eq!((settings.intra_op_thread_count, settings.inter_op_thread_count), (Some(3), Some(4)));
        assert_eq!(from(&[("intra_op_thread_count", "-1")]).unwrap(), Settings::new("lib.so"));
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
            error(&[("intra_op_thread_count", "-2")]),
            "option 'intra_op_thread_count' of backend 'pytorch' was expected to be a number of threads, got '-2'"
        );
        assert!(error(&[("threads", "1")]).starts_with("backend 'pytorch' has no option 'threads'; it has"));
    }
}
