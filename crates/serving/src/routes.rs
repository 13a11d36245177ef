//! From a model's name and version to what serves it: the one look-up of every request.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hippocamp_backend::{Error, Result};

use crate::LoadedModel;

/// The versions of every model that can be asked for. Read without a lock; replaced as a whole, rarely.
#[derive(Debug, Default)]
pub struct Routes(ArcSwap<HashMap<Arc<str>, Versions>>);

/// The versions of a model that serve, lowest first. May be empty: the model is known, but nothing of it serves.
type Versions = Arc<[Arc<LoadedModel>]>;

impl Routes {
    /// The version that was asked for, or the highest.
    pub fn find(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        let routes = self.0.load();
        let Some(versions) = routes.get(name) else {
            let asked = version.map_or_else(String::new, |v| format!(" version {v}"));
            return Err(Error::not_found(format!("Request for unknown model: '{name}'{asked} is not found")));
        };
        match version {
            None => versions.last().cloned().ok_or_else(|| {
                Error::not_found(format!("Request for unknown model: '{name}' has no available versions"))
            }),
            Some(version) => {
                versions.iter().find(|model| model.version == version).cloned().ok_or_else(|| {
                    Error::not_found(format!(
                        "Request for unknown model: '{name}' version {version} is not found"
                    ))
                })
            }
        }
    }

    /// All versions of one model that serve, lowest first.
    pub fn versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.0.load().get(name).map(|versions| versions.to_vec()).unwrap_or_default()
    }

    /// Everything that serves, by name and version.
    pub fn all(&self) -> Vec<Arc<LoadedModel>> {
        let routes = self.0.load();
        let by_name: BTreeMap<_, _> = routes.iter().collect();
        by_name.into_values().flat_map(|versions| versions.iter().cloned()).collect()
    }

    /// From here on requests for these models find these versions: for all of them at once, so that nobody sees a model
    /// already replaced and an ensemble that is made of it not yet.
    pub fn set(&self, changes: Vec<(String, Vec<Arc<LoadedModel>>)>) {
        let changes: Vec<(Arc<str>, Versions)> = changes
            .into_iter()
            .map(|(name, mut versions)| {
                versions.sort_by_key(|model| model.version);
                (name.into(), versions.into())
            })
            .collect();
        self.0.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.extend(changes.iter().cloned());
            routes
        });
    }

    /// From here on the name is one that was never there.
    pub fn forget(&self, name: &str) {
        self.0.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.remove(name);
            routes
        });
    }

    /// Lets everything go.
    pub fn clear(&self) {
        self.0.store(Arc::default());
    }
}
