//! What a start of the server meets that keeps it from serving all that it should.

use std::fmt;

use hippocamp_backend::Error;
use hippocamp_loading::LoadFailure;

/// One such thing: as long as there is any, a server that ends on errors does not start.
#[derive(Debug)]
pub struct StartFault {
    /// The name under which the model would be served; `None` if it is about a repository.
    pub model: Option<String>,
    /// The whole of it, as in the log.
    pub message: String,
    /// Each error of the model, with the version that it is about if it is about one.
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
