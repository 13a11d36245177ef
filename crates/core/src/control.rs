//! Explicit loads and unloads by clients.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_repository::{RemoteTimeout, ScanFault, identifiers, list};

use crate::{ControlMode, InferenceServer, LoadOverrides};

impl InferenceServer {
    /// Loads or reloads a model for a client. Returns when the model serves. If the load fails, the versions that served
    /// before continue to serve.
    ///
    /// # Errors
    /// `Unavailable` unless the control mode is explicit; that of the load otherwise.
    pub async fn load(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        self.allow_control()?;
        self.load_in_any_mode(name, overrides).await
    }

    /// As [`InferenceServer::load`], whatever the control mode is: for a protocol that has a rule of its own for who may load.
    ///
    /// # Errors
    /// That of the load.
    pub async fn load_in_any_mode(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        for each in self.identifiers(name).await {
            let overrides = self.lifecycle.with_given_config(&each, overrides.clone()).await;
            if let Some(lazy) = &self.lazy {
                lazy.load_for_client(&each, overrides).await?;
                continue;
            }
            let loaded = self.lifecycle.load_model(each.clone(), overrides).await;
            loaded.map_err(|failure| failure.into_error(&each))?;
        }
        Ok(())
    }

    /// Unloads a model for a client, and the ensembles that are composed of it. With `dependents`, also unloads its
    /// composing models that were not asked for by name and that no other ensemble uses. Returns when the last request has
    /// finished and the memory is freed. Unloading a model that is not loaded is no error.
    ///
    /// # Errors
    /// `Unavailable` unless the control mode is explicit.
    pub async fn unload(self: &Arc<Self>, name: &str, dependents: bool) -> Result<()> {
        self.allow_control()?;
        self.unload_in_any_mode(name, dependents).await;
        Ok(())
    }

    /// As [`InferenceServer::unload`], whatever the control mode is.
    pub async fn unload_in_any_mode(self: &Arc<Self>, name: &str, dependents: bool) {
        for each in self.identifiers(name).await {
            if let Some(lazy) = &self.lazy {
                lazy.unload_for_client(&each);
            }
            self.lifecycle.unload_model(each, dependents).await;
        }
    }

    /// As [`InferenceServer::unload`], but returns as soon as no request finds the model any more.
    pub(crate) async fn begin_unload(self: &Arc<Self>, name: &str, dependents: bool) -> Result<()> {
        self.allow_control()?;
        for each in self.identifiers(name).await {
            if let Some(lazy) = &self.lazy {
                lazy.unload_for_client(&each);
            }
            // What is left to do goes on.
            drop(self.lifecycle.begin_unload(each, dependents).await);
        }
        Ok(())
    }

    fn allow_control(&self) -> Result<()> {
        match self.settings().control_mode {
            ControlMode::Explicit => Ok(()),
            ControlMode::None | ControlMode::Poll => {
                Err(Error::unavailable("explicit model load / unload is not allowed if polling is enabled"))
            }
        }
    }

    /// The names under which models called `name` are served: the name itself, or with namespaces one for each namespace
    /// that has such a model.
    async fn identifiers(self: &Arc<Self>, name: &str) -> BTreeSet<String> {
        if !self.settings().model_namespacing {
            return [name.to_owned()].into();
        }
        let server = Arc::clone(self);
        let look = move || list(&server.settings().repositories, &server.scan_options(RemoteTimeout::Short));
        // A panic in the task was logged where it happened.
        let found = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let mut meant = meant(found.models.iter().map(String::as_str), name);
        let known = self.lifecycle.states();
        meant.extend(identifiers(known.keys().map(String::as_str), name).into_iter().map(str::to_owned));
        meant
    }

    /// The error for a name that models of several namespaces have; `None` if the name is unambiguous.
    #[cold]
    pub(crate) fn ambiguous(&self, name: &str) -> Option<Error> {
        if !self.settings().model_namespacing {
            return None;
        }
        let mut known: BTreeSet<String> = self.lifecycle.states().into_keys().collect();
        known.extend(self.lazy.iter().flat_map(|lazy| lazy.names()));
        let meant = identifiers(known.iter().map(String::as_str), name);
        if meant.is_empty() || meant.contains(name) {
            return None;
        }
        let identifiers = meant.into_iter().map(str::to_owned).collect();
        let fault = ScanFault::Ambiguous { name: name.to_owned(), identifiers };
        Some(Error::invalid_arg(fault.to_string()))
    }
}

/// The names among `present` that `name` may refer to; `name` itself if there is none.
pub(crate) fn meant<'a>(present: impl Iterator<Item = &'a str>, name: &'a str) -> BTreeSet<String> {
    let meant = identifiers(present, name);
    if meant.is_empty() { [name.to_owned()].into() } else { meant.into_iter().map(str::to_owned).collect() }
}
