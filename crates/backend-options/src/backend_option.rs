//! An option of the command line.

use std::time::Duration;

use hippocamp_backend::{Error, Result};

use crate::values::{COUNT, FLAG, parse_count, parse_flag};

/// Keys that Triton's server gives to every backend, or that others of it read.
const OF_ALL: [&str; 6] = [
    "default_max_batch_size",
    "auto_complete_config",
    "backend_directory",
    "min_compute_capability",
    "enable_memory_tracker",
    "triton_backend_memory_tracker",
];

/// One `--backend-config=BACKEND,KEY=VALUE`.
#[derive(Clone, Debug)]
pub struct BackendOption<'a> {
    backend: &'a str,
    written: &'a str,
    key: String,
    value: &'a str,
}

impl<'a> BackendOption<'a> {
    /// The option of a backend of this name.
    pub fn new(backend: &'a str, (key, value): (&'a str, &'a str)) -> BackendOption<'a> {
        BackendOption { backend, written: key, key: key.replace('-', "_"), value }
    }

    /// The key, with its words joined by `_`. The command line may join them by `-`, too.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as it was given.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// True or false.
    pub fn flag(&self) -> Result<bool> {
        parse_flag(self.value).ok_or_else(|| self.wrong(FLAG))
    }

    /// A number of threads; `None` for 0 and -1, which leave the choice to the backend.
    pub fn threads(&self) -> Result<Option<usize>> {
        let count = parse_count(self.value).ok_or_else(|| self.wrong(COUNT))?;
        Ok((count > 0).then_some(count))
    }

    /// A number of seconds; `None` for 0.
    pub fn seconds(&self) -> Result<Option<Duration>> {
        let seconds: u32 = self.value.trim().parse().map_err(|_| self.wrong("a number of seconds"))?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
    }

    /// The error of a value that is not what was expected, which is the end of a sentence.
    #[cold]
    pub fn wrong(&self, expected: &str) -> Error {
        let BackendOption { backend, written, value, .. } = self;
        Error::invalid_arg(format!(
            "option '{written}' of backend '{backend}' was expected to be {expected}, got '{value}'"
        ))
    }

    /// Passes over an option that all backends are given, and those in `also`, which Triton's backend of that name has and
    /// which change nothing here.
    ///
    /// # Errors
    /// It is another one. The error says which there are: `known`, as the end of a sentence.
    pub fn pass_over(&self, also: &[&str], known: &str) -> Result<()> {
        let key = self.key();
        if OF_ALL.contains(&key) || also.contains(&key) {
            return Ok(());
        }
        Err(Error::invalid_arg(format!("backend '{}' has no option '{key}'; it has {known}", self.backend)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(key: &'static str, value: &'static str) -> BackendOption<'static> {
        BackendOption::new("engine", (key, value))
    }

    #[test]
    fn reads_values_by_type() {
        assert_eq!(option("allow-spinning", "1").key(), "allow_spinning");
        assert!(option("a", "True").flag().unwrap());
        assert_eq!(["-1", "0", "3"].map(|n| option("a", n).threads().unwrap()), [None, None, Some(3)]);
        assert_eq!(
            ["0", "60"].map(|n| option("a", n).seconds().unwrap()),
            [None, Some(Duration::from_mins(1))]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(
            option("allow-spinning", "maybe").flag().unwrap_err().message(),
            "option 'allow-spinning' of backend 'engine' was expected to be true or false, got 'maybe'"
        );
        assert!(
            option("a", "-2").threads().unwrap_err().message().ends_with("a number of threads, got '-2'")
        );
        assert!(
            option("a", "soon").seconds().unwrap_err().message().ends_with("a number of seconds, got 'soon'")
        );
    }

    #[test]
    fn passes_over_what_others_read_and_nothing_else() {
        option("default-max-batch-size", "8").pass_over(&[], "library").unwrap();
        option("triton-backend-memory-tracker", "true").pass_over(&[], "library").unwrap();
        option("gpu-memory-fraction", "1").pass_over(&["gpu_memory_fraction"], "library").unwrap();
        assert_eq!(
            option("gpu-memory", "1")
                .pass_over(&["gpu_memory_fraction"], "library and threads")
                .unwrap_err()
                .message(),
            "backend 'engine' has no option 'gpu_memory'; it has library and threads"
        );
    }
}
