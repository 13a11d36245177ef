//! Faults as values: the error of a load carries the [`Faults`] of its config as its source, so that no caller has to parse
//! the text of an error.

use std::error::Error as _;
use std::path::Path;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Fault, FaultKind, Faults};

/// The name in messages of a config that is not a file.
const ORIGIN: &str = "config";

/// Attaches to an error the field of the config, `path`, that caused it.
#[cold]
pub fn about(error: Error, path: &str, kind: FaultKind) -> Error {
    let fault = Fault::new(path, error.message(), kind);
    error.with_source(Faults::one(ORIGIN, fault))
}

/// The faults that an error carries, or one fault with its message if it carries none. Lines and columns are kept if they are
/// places in the file `config`.
pub fn faults_of(error: &Error, config: Option<&Path>) -> Vec<Fault> {
    let Some(Faults { origin, faults }) = error.source().and_then(|source| source.downcast_ref()) else {
        return vec![Fault::new("", error.message(), FaultKind::Other)];
    };
    let of_config = origin == ORIGIN || config.is_some_and(|config| config == Path::new(origin));
    let faults = faults.iter().cloned();
    if of_config {
        return faults.collect();
    }
    // The faults are in another file, such as a pipeline: its name and line become a part of the message.
    let placed = faults.map(|fault| Fault {
        message: format!("{origin}:{}: {}", fault.line, fault.message),
        line: 0,
        column: 0,
        ..fault
    });
    placed.collect()
}

/// The error of a config that has these faults.
#[cold]
pub fn bad_config(faults: Faults) -> Error {
    Error::invalid_arg(faults.to_string()).with_source(faults)
}

/// Joins several errors into one, with the code of the first. Returns `None` if there are none.
pub fn join(mut errors: Vec<Error>) -> Option<Error> {
    if errors.len() <= 1 {
        return errors.pop();
    }
    let messages: Vec<&str> = errors.iter().map(Error::message).collect();
    let error = Error::new(errors[0].code(), messages.join("; "));
    let mut all = Faults::new(ORIGIN);
    all.faults = errors.iter().flat_map(|error| faults_of(error, None)).collect();
    Some(error.with_source(all))
}

/// Collects the errors of several operations that are independent of each other.
#[derive(Debug, Default)]
pub struct Collected(Vec<Error>);

impl Collected {
    /// Returns the value of a successful result; keeps the error of a failed one and returns `None`.
    pub fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all errors joined into one, if there were any.
    pub fn into_result(self) -> Result<()> {
        join(self.0).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_several_steps_are_told_together_and_one_by_one() {
        let mut collected = Collected::default();
        assert_eq!(collected.take(Ok(7)), Some(7));
        assert!(Collected::default().into_result().is_ok());
        let labels = about(Error::not_found("no labels"), "output[0].label_filename", FaultKind::Digest);
        assert_eq!(collected.take::<()>(Err(labels)), None);
        let mut of_pipeline = Faults::new("1/pipeline.toml");
        of_pipeline.faults = vec![Fault { line: 3, ..Fault::new("", "a; b", FaultKind::Other) }];
        collected.take::<()>(Err(Error::invalid_arg("bad pipeline").with_source(of_pipeline)));
        let error = collected.into_result().unwrap_err();
        assert_eq!(error.message(), "no labels; bad pipeline");
        let faults = faults_of(&error, None);
        let told: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
        assert_eq!(told, [("output[0].label_filename", "no labels"), ("", "1/pipeline.toml:3: a; b")]);
        let alone = faults_of(&Error::internal("x; y\nz"), None);
        assert_eq!((alone.len(), alone[0].message.as_str()), (1, "x; y\nz"));
    }
}
