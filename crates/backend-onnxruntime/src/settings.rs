//! The settings of `--backend-config=onnxruntime,KEY=VALUE`.

use std::path::PathBuf;
use std::time::Duration;

use hippocamp_backend::Result;
use hippocamp_backend_options::BackendOption;
use hippocamp_device::Devices;
use hippocamp_engine_library::LibraryPath;

/// Settings of the backend, which all models of the process share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of ONNX Runtime's shared library.
    pub library: LibraryPath,
    /// The number of CPUs that all models of this process may use together.
    pub threads: usize,
    /// Whether models without thread settings of their own share one pool. Otherwise each session has its own pool,
    /// which is smaller the more instances its model has.
    pub global_pool: bool,
    /// Threads within an operator, in the shared pool or in each session's.
    pub intra_op_thread_count: Option<usize>,
    /// Threads across operators, for models that execute in parallel.
    pub inter_op_thread_count: Option<usize>,
    /// Whether idle threads spin before they sleep. On an otherwise idle machine this shortens the latency of single
    /// requests; with as many busy instances as CPUs, or with other processes, spinning threads take CPU time from
    /// those with work.
    pub allow_spinning: bool,
    /// Folders, besides a model's own, from which a config may load libraries of operators.
    pub operator_folders: Vec<PathBuf>,
    /// The devices of this machine, on which instances may be.
    pub devices: Devices,
    /// Folders in which the libraries of CUDA are looked for before those beside ONNX Runtime.
    pub cuda_libraries: Vec<PathBuf>,
    /// How often memory that runs no longer need is released: what exceeds the runs since the last check, and all of it
    /// if there were none. `None` keeps it.
    pub memory_period: Option<Duration>,
}

/// The options that there are, as the end of a sentence.
const KNOWN: &str = "library, enable-global-threadpool, intra_op_thread_count, inter_op_thread_count, allow-spinning, \
                     custom-op-directory, cuda-libraries, memory-period-secs and default-max-batch-size";

impl Settings {
    /// Settings for the library at this path. The number of CPUs is limited by the machine, the affinity mask and the
    /// control group's quota.
    pub fn new(library: impl Into<PathBuf>) -> Settings {
        Settings {
            library: LibraryPath::at(library),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            global_pool: true,
            intra_op_thread_count: None,
            inter_op_thread_count: None,
            allow_spinning: false,
            operator_folders: Vec::new(),
            devices: Devices::none(),
            cuda_libraries: Vec::new(),
            memory_period: Some(Duration::from_secs(10)),
        }
    }

    /// Settings for a library that was not found in any of these places.
    pub fn not_found(looked_in: Vec<PathBuf>) -> Settings {
        Settings { library: LibraryPath::not_found(looked_in), ..Settings::new("") }
    }

    /// Applies options of the command line. Words in a key may be joined by `-` or `_`.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settings> {
        let mut settings = self;
        for option in options.into_iter().map(|each| BackendOption::new("onnxruntime", each)) {
            let value = option.value();
            match option.key() {
                "library" => settings.library = LibraryPath::at(value),
                "enable_global_threadpool" => settings.global_pool = option.flag()?,
                "intra_op_thread_count" => settings.intra_op_thread_count = option.threads()?,
                "inter_op_thread_count" => settings.inter_op_thread_count = option.threads()?,
                "custom_op_directory" => settings.operator_folders.push(value.into()),
                "cuda_libraries" => settings.cuda_libraries.extend(std::env::split_paths(value)),
                "allow_spinning" => settings.allow_spinning = option.flag()?,
                "memory_period_secs" => settings.memory_period = option.seconds()?,
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
    fn takes_tritons_options() {
        let settings = from(&[
            ("enable-global-threadpool", "0"),
            ("intra_op_thread_count", "3"),
            ("inter-op-thread-count", "0"),
            ("default-max-batch-size", "8"),
            ("allow-spinning", "1"),
            ("custom-op-directory", "/opt/operators"),
            ("custom-op-directory", "/opt/more"),
            ("memory-period-secs", "60"),
            ("library", "/opt/other.so"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.library, LibraryPath::at("/opt/other.so"));
        assert!(!settings.global_pool && settings.allow_spinning && settings.threads >= 1);
        assert_eq!((settings.intra_op_thread_count, settings.inter_op_thread_count), (Some(3), None));
        assert_eq!(settings.operator_folders, [Path::new("/opt/operators"), Path::new("/opt/more")]);
        assert_eq!(from(&[("intra_op_thread_count", "-1")]).unwrap().intra_op_thread_count, None);
        assert_eq!(settings.memory_period, Some(Duration::from_mins(1)));
        assert_eq!(from(&[("memory-period-secs", "0")]).unwrap().memory_period, None);
        assert_eq!(from(&[]).unwrap(), Settings::new("lib.so"));
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
            error(&[("enable-global-threadpool", "maybe")]),
            "option 'enable-global-threadpool' of backend 'onnxruntime' was expected to be true or false, got 'maybe'"
        );
        assert_eq!(
            error(&[("intra_op_thread_count", "-2")]),
            "option 'intra_op_thread_count' of backend 'onnxruntime' was expected to be a number of threads, got '-2'"
        );
        assert!(
            error(&[("threads", "1")]).starts_with("backend 'onnxruntime' has no option 'threads'; it has")
        );
    }
}
