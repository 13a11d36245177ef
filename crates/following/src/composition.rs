//! The composition of ensembles after the pending changes, read from their configs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::{Dependencies, Fingerprint};

use crate::ServedModels;

/// A model's name, and the present content of its folder; `None` if the folder was removed.
pub(crate) type Changed = (String, Option<Fingerprint>);

/// The models that each changed config refers to, with the content for which it was read. A change that cannot be served
/// stays pending, and its config is not read again each time.
#[derive(Debug, Default)]
pub(crate) struct Compositions(BTreeMap<String, (Option<Fingerprint>, BTreeSet<String>)>);

impl Compositions {
    /// The dependencies that are served now, updated by the configs of the `changed` models. Configs that were read for the
    /// same content are not read again, unless `reread` is set.
    pub(crate) async fn dependencies<M: ServedModels>(
        &mut self,
        models: &Arc<M>,
        mut dependencies: Dependencies,
        changed: &[Changed],
        reread: bool,
    ) -> Dependencies {
        let is_current = |name: &String, then: &Option<Fingerprint>| {
            changed.iter().any(|(changed, now)| changed == name && now == then)
        };
        self.0.retain(|name, (then, _)| !reread && is_current(name, then));
        let unread: Vec<Changed> =
            changed.iter().filter(|(name, _)| !self.0.contains_key(name)).cloned().collect();
        if !unread.is_empty() {
            let models = Arc::clone(models);
            let read = tokio::task::spawn_blocking(move || {
                let read = unread.into_iter().map(|(name, now)| {
                    let composing = models.composing_on_disk(&name);
                    (name, (now, composing))
                });
                read.collect::<Vec<_>>()
            });
            // A panic in the task was logged.
            self.0.extend(read.await.unwrap_or_default());
        }
        for (name, (_, composing)) in &self.0 {
            dependencies.set(name, composing.clone());
        }
        dependencies
    }
}
