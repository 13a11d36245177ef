//! Maps the folders of repositories to the names of models.

use hippocamp_repository::{RepositoryLocation, namespaces, qualified_name};

/// The mapping from folders to the names under which models are served.
pub(crate) struct ModelNames {
    /// The namespace of each repository; `None` if models have no namespaces.
    namespaces: Option<Vec<String>>,
}

impl ModelNames {
    pub(crate) fn new(repositories: &[RepositoryLocation], namespacing: bool) -> ModelNames {
        ModelNames { namespaces: namespacing.then(|| namespaces(repositories)) }
    }

    /// The names under which the model in that folder may be served.
    pub(crate) fn of(&self, repository: usize, folder: String) -> Vec<String> {
        let namespaces = self.namespaces.as_ref();
        let qualified = namespaces.map(|namespaces| qualified_name(&namespaces[repository], &folder));
        qualified.into_iter().chain([folder]).collect()
    }

    pub(crate) fn have_namespaces(&self) -> bool {
        self.namespaces.is_some()
    }
}
