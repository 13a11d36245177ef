//! Errors at the start of the server that keep a model or a repository from being served.

use std::fmt;

use hippocamp_backend::Error;
use hippocamp_loading::LoadFailure;

/// One error at the start. A server that is set to exit on errors does not start if there is any.
#[derive(Debug)]
pub struct StartFault {
    /// The name of the model; `None` if the error concerns a repository.
    pub model: Option<String>,
    /// The full message, as in the log.
    pub message: String,
    /// The model's errors, each with the version that it concerns, if any.
    pub errors: Vec<(Option<u64>, Error)>,
}

impl StartFault {
    pub fn of_repository(message: String) -> StartFault {
        StartFault { model: None, message, errors: Vec::new() }
    }

    pub fn of_model(name: String, failure: LoadFailure) -> StartFault {
        let message = format!("failed to load model '{name}': {}", failure.reason());
        let errors = match failure {
            LoadFailure::Config(error) | LoadFailure::Composing { error, .. } => vec![(None, error)],
            LoadFailure::Versions(versions) => {
                versions.into_iter().map(|(version, error)| (Some(version), error)).collect()
            }
            LoadFailure::Changed => Vec::new(),
        };
        StartFault { model: Some(name), message, errors }
    }
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
