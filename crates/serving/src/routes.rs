//! The routing table: maps a model's name and version to the loaded version, for every request.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hippocamp_backend::{Error, Result};

use crate::model_ref::Routed;
use crate::{LoadedModel, ModelRef};

/// The serving versions of every model. Readers take no lock; a change replaces the whole table.
#[derive(Debug, Default)]
pub struct Routes(ArcSwap<HashMap<Arc<str>, Versions>>);

/// The serving versions of a model, lowest first. The list is empty if the model is known but does not serve.
type Versions = Arc<[Routed]>;

fn models(versions: &Versions) -> impl Iterator<Item = Arc<LoadedModel>> {
    versions.iter().map(|routed| Arc::clone(&routed.model))
}

impl Routes {
    /// Finds the given version of a model, or with `None` the highest.
    ///
    /// # Errors
    /// `NotFound` if it does not serve.
    pub fn find(&self, name: &str, version: Option<u64>) -> Result<ModelRef> {
        let routes = self.0.load();
        let Some(versions) = routes.get(name) else {
            return Err(Error::not_found(format!("Request for unknown model: '{name}' is not found")));
        };
        match version {
            None => versions.last().map(Routed::refer).ok_or_else(|| {
                Error::not_found(format!("Request for unknown model: '{name}' has no available versions"))
            }),
            Some(version) => {
                let found = versions.iter().find(|routed| routed.model.version == version);
                found.map(Routed::refer).ok_or_else(|| {
                    Error::not_found(format!(
                        "Request for unknown model: '{name}' version {version} is not found"
                    ))
                })
            }
        }
    }

    /// Whether there is a model of that name, whether it serves or not.
    pub fn knows(&self, name: &str) -> bool {
        self.0.load().contains_key(name)
    }

    /// The serving versions of one model, lowest first.
    pub fn versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.0.load().get(name).map(|versions| models(versions).collect()).unwrap_or_default()
    }

    /// All serving versions, sorted by name and version.
    pub fn all(&self) -> Vec<Arc<LoadedModel>> {
        let routes = self.0.load();
        let by_name: BTreeMap<_, _> = routes.iter().collect();
        by_name.into_values().flat_map(models).collect()
    }

    /// Sets the versions of these models, all at once, so that no request sees a replaced model together with an old
    /// ensemble of it.
    pub fn set(&self, changes: Vec<(String, Vec<Arc<LoadedModel>>)>) {
        let changes: Vec<(Arc<str>, Versions)> = changes
            .into_iter()
            .map(|(name, mut versions)| {
                versions.sort_by_key(|model| model.version);
                (name.into(), versions.into_iter().map(Routed::from).collect())
            })
            .collect();
        self.0.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.extend(changes.iter().cloned());
            routes
        });
    }

    /// Removes a model's name, so that it is unknown again.
    pub fn forget(&self, name: &str) {
        self.0.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.remove(name);
            routes
        });
    }

    /// Removes all models.
    pub fn clear(&self) {
        self.0.store(Arc::default());
    }
}
