//! Registering, scaling and removing models by clients.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use hippocamp_archive_repository::{Archives, MAX_WORKERS, Named, Options, RegisterFault, Registration};
use hippocamp_core::LoadOverrides;
use hippocamp_download::Fetched;
use hippocamp_model_config::to_json;
use hippocamp_net::off_thread;
use hippocamp_repository::{RemoteRepository, RepositoryLocation, list};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::turns::Turn;
use crate::{Failure, TorchServe};

/// What TorchServe can run handlers by.
const RUNTIMES: [&str; 3] = ["python", "python3", "LSP"];

/// What is said of an update that goes on.
const PROCESSING: &str = "Processing worker updates...";

/// A registration that a client asks for.
#[derive(Clone, Debug, Default)]
pub struct RegisterRequest {
    /// The file in the model store, or where to fetch it.
    pub url: String,
    /// The model's name instead of the archive's.
    pub model_name: Option<String>,
    /// The handler instead of the archive's.
    pub handler: Option<String>,
    /// The largest batch.
    pub batch_size: Option<u32>,
    /// In milliseconds.
    pub max_batch_delay: Option<u32>,
    /// The number of instances.
    pub initial_workers: Option<u32>,
    /// What TorchServe would run the handler by.
    pub runtime: Option<String>,
    /// Whether the client waits until it serves.
    pub synchronous: bool,
}

/// A number of instances that a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Scale {
    /// The model's name.
    pub name: String,
    /// The version; `None` for the default one.
    pub version: Option<String>,
    /// The number of instances.
    pub min_worker: u32,
    /// At least as many.
    pub max_worker: Option<u32>,
    /// Whether the client waits until it serves.
    pub synchronous: bool,
}

/// What was done, with the status of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// 200, or 202 for what goes on.
    pub status: u16,
    /// The sentence.
    pub message: String,
}

fn done(message: String) -> Registered {
    Registered { status: 200, message }
}

fn processing() -> Registered {
    Registered { status: 202, message: PROCESSING.to_owned() }
}

impl TorchServe {
    /// Registers an archive, and loads it if it is to have instances. Dropping the future stops the fetch of an archive; what was
    /// begun behind that ends by itself.
    pub async fn register(self: &Arc<Self>, request: RegisterRequest) -> Result<Registered, Failure> {
        if request.url.is_empty() {
            return Err(Failure::bad_request("Parameter url is required."));
        }
        check_workers(request.initial_workers.unwrap_or(0))?;
        if let Some(runtime) =
            request.runtime.as_ref().filter(|runtime| !RUNTIMES.contains(&runtime.as_str()))
        {
            return Err(Failure::bad_request(format!("Invalid RuntimeType value: {runtime}")));
        }
        let fetched = if request.url.contains("://") { Some(self.fetch(&request.url).await?) } else { None };
        let this = Arc::clone(self);
        self.finish(async move { this.register_found(request, fetched).await }).await
    }

    /// Carries an operation out, whether or not its client stays to hear of it: half of one would leave what no client asked for.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(async move {
            // Nobody may wait any more.
            let _ = sender.send(work.await);
        });
        receiver.await.unwrap_or_else(|_| Err(Failure::internal("the operation was not finished")))
    }

    /// Registers an archive that is there, or was fetched.
    async fn register_found(
        self: &Arc<Self>,
        request: RegisterRequest,
        fetched: Option<Fetched>,
    ) -> Result<Registered, Failure> {
        let RegisterRequest {
            url,
            model_name,
            handler,
            batch_size,
            max_batch_delay,
            initial_workers,
            runtime,
            synchronous,
        } = request;
        self.refresh().await;
        let options = Options {
            name: model_name,
            handler,
            batch_size,
            max_batch_delay,
            workers: initial_workers,
            runtime,
            ..Options::default()
        };
        let (turn, registration) = self.register_in_turn(url, fetched, options).await?;
        let workers = registration.workers.unwrap_or(self.settings.default_workers);
        if registration.workers != Some(workers) {
            self.set_workers(&registration, workers).await;
        }
        info!(
            model = registration.model,
            "registered archive '{}' with {workers} instances", registration.url
        );
        let Registration { name, version, .. } = &registration;
        if workers == 0 {
            self.refresh().await;
            return Ok(done(format!(
                "Model \"{name}\" Version: {version} registered with 0 initial workers. Use scale workers API to add \
                 workers for the model."
            )));
        }
        if !synchronous {
            let (this, registration) = (Arc::clone(self), registration.clone());
            self.spawn(async move {
                let _turn = turn;
                if let Err(failure) = this.start(&registration).await {
                    error!(model = registration.model, "{}", failure.message);
                }
            });
            return Ok(processing());
        }
        self.start(&registration).await?;
        Ok(done(format!("Model \"{name}\" Version: {version} registered with {workers} initial workers")))
    }

    /// Registers an archive when no other operation has its name. Until the turn ends, none has.
    async fn register_in_turn(
        self: &Arc<Self>,
        url: String,
        fetched: Option<Fetched>,
        options: Options,
    ) -> Result<(Turn, Registration), Failure> {
        let unread = |_| Failure::internal("the archive could not be read");
        let fault = |fault: RegisterFault| Failure::of_registration(&fault);
        let this = Arc::clone(self);
        let find = move || {
            let path = match &fetched {
                Some(fetched) => fetched.path().to_owned(),
                None => this.archives.find(&url)?,
            };
            let name = this.archives.name_of(&path, &options);
            Ok((name, url, fetched, options))
        };
        let (name, url, fetched, options) = off_thread(true, find).await.map_err(unread)?.map_err(fault)?;
        let turn = self.turns.take(&name).await;
        let this = Arc::clone(self);
        let register = move || this.register_archive(&url, fetched, &options);
        let registration = off_thread(true, register).await.map_err(unread)?.map_err(fault)?;
        // A file that was replaced meanwhile may have another name of its own.
        if registration.name != name {
            drop(turn);
            return Ok((self.turns.take(&registration.name).await, registration));
        }
        Ok((turn, registration))
    }

    /// Registers an archive that was fetched or lies in a store. Blocks on the disk.
    fn register_archive(
        &self,
        url: &str,
        fetched: Option<Fetched>,
        options: &Options,
    ) -> Result<Registration, RegisterFault> {
        let others = self.names_of_others();
        let is_taken = |name: &str| others.contains(name) || !self.server.ready_versions(name).is_empty();
        let register = |path: &Path, fetched: bool| {
            self.archives.register(&Named { path, url, fetched }, options, is_taken)
        };
        let Some(fetched) = fetched else { return register(&self.archives.find(url)?, false) };
        let path = fetched.keep();
        let registered = register(&path, true);
        if registered.is_err() {
            // What cannot be served is of no use in the store.
            self.archives.discard(&path);
        }
        registered
    }

    /// Loads a registered archive; one that cannot be loaded is not registered any more.
    async fn start(self: &Arc<Self>, registration: &Registration) -> Result<(), Failure> {
        let loaded = self.server.load_in_any_mode(&registration.model, LoadOverrides::default()).await;
        if let Err(error) = loaded {
            let Registration { name, version, .. } = registration;
            self.change(registration, Archives::withdraw).await;
            return Err(Failure::no_start(name, version, error.message()));
        }
        self.refresh().await;
        Ok(())
    }

    /// Sets the number of instances of the network of a model.
    pub async fn scale(self: &Arc<Self>, scale: Scale) -> Result<Registered, Failure> {
        let Scale { name, version, min_worker, max_worker, synchronous } = scale;
        if max_worker.is_some_and(|max| max < min_worker) {
            return Err(Failure::bad_request("max_worker cannot be less than min_worker."));
        }
        check_workers(min_worker)?;
        let of_version = version.as_ref().map_or_else(String::new, |version| format!(", version: {version}"));
        let sentence = format!("Workers scaled to {min_worker} for model: {name}{of_version}");
        if !synchronous {
            // That there is no such model is said at once.
            self.registration(&name, version.as_deref()).await?;
        }
        let this = Arc::clone(self);
        let work = async move {
            let _turn = this.turns.take(&name).await;
            // Whoever had the turn before may have removed it.
            match this.registration(&name, version.as_deref()).await? {
                Some(registration) => this.scale_archive(&registration, min_worker).await,
                None => this.scale_plain(&name, min_worker).await,
            }
        };
        if synchronous {
            self.finish(work).await?;
            return Ok(done(sentence));
        }
        self.spawn(async move {
            if let Err(failure) = work.await {
                error!("{}", failure.message);
            }
        });
        Ok(processing())
    }

    async fn scale_archive(
        self: &Arc<Self>,
        registration: &Registration,
        workers: u32,
    ) -> Result<(), Failure> {
        self.set_workers(registration, workers).await;
        let failed = |error: hippocamp_backend::Error| Failure::internal(error.message());
        if workers == 0 {
            self.unload(registration).await;
        } else {
            // Of an ensemble that serves, the network changes, and how many requests are prepared for it.
            let serves = !self.server.ready_versions(&registration.model).is_empty();
            let changed =
                serves.then_some(&registration.network).filter(|network| **network != registration.model);
            for model in changed.into_iter().chain([&registration.model]) {
                self.server.load_in_any_mode(model, LoadOverrides::default()).await.map_err(failed)?;
            }
        }
        self.refresh().await;
        Ok(())
    }

    /// A model of a repository is loaded again with another number of instances in its config, until that is written anew.
    async fn scale_plain(self: &Arc<Self>, name: &str, workers: u32) -> Result<(), Failure> {
        // Nothing of the model may be held here: its unload waits until nobody has it.
        let config = self.server.ready_versions(name).last().map(|model| Arc::clone(&model.config));
        let Some(config) = config else { return Err(Failure::no_model(name)) };
        if workers == 0 {
            self.server.unload_in_any_mode(name, false).await;
            return Ok(());
        }
        let mut config = (*config).clone();
        if config.platform == "ensemble" {
            return Err(Failure::bad_request(format!(
                "model '{name}' is an ensemble, which has no instances of its own: scale the models of its steps"
            )));
        }
        config.instance_group.truncate(1);
        match config.instance_group.first_mut() {
            Some(group) => group.count = workers as i32,
            None => {
                return Err(Failure::bad_request(format!("model '{name}' has no instance group to scale")));
            }
        }
        let overrides = LoadOverrides { config: Some(to_json(&config)), ..LoadOverrides::default() };
        let loaded = self.server.load_in_any_mode(name, overrides).await;
        loaded.map_err(|error| Failure::internal(error.message()))
    }

    /// Makes a version the one of requests that name none.
    pub async fn set_default(self: &Arc<Self>, name: &str, version: &str) -> Result<String, Failure> {
        let _turn = self.turns.take(name).await;
        self.refresh().await;
        let known = self
            .table
            .read()
            .models
            .get(name)
            .map(|versions| versions.iter().any(|each| each.version == version));
        match known {
            Some(true) => {
                self.defaults.lock().insert(name.to_owned(), version.to_owned());
            }
            Some(false) => return Err(Failure::no_default(name, version)),
            None => {
                let versions = self.server.ready_versions(name);
                let Some(latest) = versions.last() else { return Err(Failure::no_model(name)) };
                if !versions.iter().any(|model| &*model.version_text == version) {
                    return Err(Failure::no_default(name, version));
                }
                if &*latest.version_text != version {
                    return Err(Failure::bad_request(format!(
                        "model '{name}' is of a repository, where the highest version is the default: change its \
                         version_policy instead"
                    )));
                }
            }
        }
        Ok(format!("Default version successfully updated for model \"{name}\" to \"{version}\""))
    }

    /// Removes a version of a model, or the default one.
    pub async fn unregister(self: &Arc<Self>, name: &str, version: Option<&str>) -> Result<String, Failure> {
        let (this, name, version) = (Arc::clone(self), name.to_owned(), version.map(str::to_owned));
        self.finish(async move {
            let _turn = this.turns.take(&name).await;
            this.unregister_in_turn(&name, version.as_deref()).await
        })
        .await
    }

    async fn unregister_in_turn(
        self: &Arc<Self>,
        name: &str,
        version: Option<&str>,
    ) -> Result<String, Failure> {
        let Some(registration) = self.registration(name, version).await? else {
            self.server.unload_in_any_mode(name, false).await;
            return Ok(format!("Model \"{name}\" unregistered"));
        };
        let versions = self.table.read().models.get(name).cloned().unwrap_or_default();
        if versions.len() > 1 && self.default_version(name, &versions).as_ref() == Some(&registration.version)
        {
            return Err(Failure::is_default(name));
        }
        // First, so that no load which another client begins finds it any more.
        self.change(&registration, Archives::unregister).await;
        self.unload(&registration).await;
        self.refresh().await;
        Ok(format!("Model \"{name}\" unregistered"))
    }

    /// The archive that a client names, `None` if it is a model of a repository, or the failure that it is neither.
    async fn registration(
        self: &Arc<Self>,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Registration>, Failure> {
        self.refresh().await;
        let versions = self.table.read().models.get(name).cloned();
        if let Some(versions) = versions {
            let default = self.default_version(name, &versions).unwrap_or_default();
            let wanted = version.unwrap_or(&default);
            let found = versions.into_iter().find(|each| each.version == wanted);
            return found.map(Some).ok_or_else(|| Failure::no_version(name, wanted));
        }
        let plain = self.server.ready_versions(name);
        match version {
            _ if plain.is_empty() => Err(Failure::no_model(name)),
            Some(version) if !plain.iter().any(|model| &*model.version_text == version) => {
                Err(Failure::no_version(name, version))
            }
            _ => Ok(None),
        }
    }

    /// Unloads an archive's model and its steps, some of which may have been loaded by name.
    async fn unload(self: &Arc<Self>, registration: &Registration) {
        self.server.unload_in_any_mode(&registration.model, true).await;
        if registration.network != registration.model {
            self.server.unload_in_any_mode(&registration.network, false).await;
        }
    }

    async fn set_workers(self: &Arc<Self>, registration: &Registration, workers: u32) {
        let (this, registration) = (Arc::clone(self), registration.clone());
        drop(off_thread(true, move || this.archives.set_workers(&registration, workers)).await);
    }

    async fn change(
        self: &Arc<Self>,
        registration: &Registration,
        change: impl FnOnce(&Archives, &Registration) + Send + 'static,
    ) {
        let (this, registration) = (Arc::clone(self), registration.clone());
        drop(off_thread(true, move || change(&this.archives, &registration)).await);
        self.refresh().await;
    }

    /// Fetches an archive into the model store.
    async fn fetch(&self, url: &str) -> Result<Fetched, Failure> {
        let Some(store) = self.archives.store() else { return Err(Failure::no_store()) };
        let fetched = self.settings.downloads.fetch(url, store).await;
        if let Ok(fetched) = &fetched {
            info!("fetched '{}' for a registration", fetched.path().display());
        }
        fetched.map_err(|fault| Failure::of_download(&fault))
    }

    /// The names of the models in repositories that have other models than archives. Blocks on the disk.
    fn names_of_others(&self) -> BTreeSet<String> {
        let settings = self.server.settings();
        let own = self.archives.location();
        let is_other = |location: &&RepositoryLocation| match location {
            RepositoryLocation::Local(_) => true,
            RepositoryLocation::Remote(remote) => remote.location() != own,
        };
        let others: Vec<_> = settings.repositories.iter().filter(is_other).cloned().collect();
        let found = list(&others, &settings.scan_options());
        found.models.into_iter().chain(found.duplicates).collect()
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.server.settings().background {
            Some(runtime) => drop(runtime.spawn(work)),
            None => drop(tokio::spawn(work)),
        }
    }
}

fn check_workers(workers: u32) -> Result<(), Failure> {
    if workers <= MAX_WORKERS {
        return Ok(());
    }
    Err(Failure::bad_request(format!("at most {MAX_WORKERS} workers were expected, got {workers}")))
}
