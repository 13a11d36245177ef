//! A model repository in an object store.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use hippocamp_repository::{
    Fingerprint, RemoteFault, RemoteModel, RemoteRepository, RemoteTimeout, Snapshot, check_name,
};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore};
use parking_lot::Mutex;
use tracing::warn;

use crate::cache::{Cache, ModelCache, StoreSnapshot};
use crate::credentials::{Variables, variable};
use crate::download::{self, FetchError};
use crate::error::{Operation, disk, explain};
use crate::listing::{self, ModelListing};
use crate::runtime::StoreRuntime;
use crate::{Bucket, StoreError, StoreLocation, client};

/// How long a listing may take that a client waits for.
const SHORT: Duration = Duration::from_secs(5);

/// How often a model that changes while it is being fetched is listed again.
const LISTINGS: u32 = 4;

/// A config with more bytes is none.
const MAX_CONFIG: u64 = 1 << 20;

/// Models that are listed at the same time, where one listing for all cannot be had.
const LISTED_AT_ONCE: usize = 8;

/// Opens the stores of a process. They share their threads.
#[derive(Debug)]
pub struct Stores {
    runtime: Arc<StoreRuntime>,
}

impl Stores {
    pub fn new() -> std::io::Result<Stores> {
        Ok(Stores { runtime: Arc::new(StoreRuntime::start()?) })
    }

    /// Opens a repository by its location. Credentials and the cache folder come from the variables. Makes no request
    /// yet.
    pub fn open(&self, url: &str, variables: Variables<'_>) -> Result<StoreRepository, StoreError> {
        let location: StoreLocation = url.parse()?;
        let store = client::open(&location, variables)?;
        let folder = variable(variables, cache_variable(&location.bucket)).map(PathBuf::from);
        self.with_client(location, store, folder.as_deref())
    }

    /// With a client of one's own.
    pub(crate) fn with_client(
        &self,
        location: StoreLocation,
        store: Arc<dyn ObjectStore>,
        folder: Option<&Path>,
    ) -> Result<StoreRepository, StoreError> {
        let cache = Cache::open(&location, folder)?;
        let inner = Inner { location, store, cache, models: Mutex::default(), seen: Mutex::default() };
        Ok(StoreRepository { inner: Arc::new(inner), runtime: Arc::clone(&self.runtime) })
    }
}

fn cache_variable(bucket: &Bucket) -> &'static str {
    match bucket {
        Bucket::S3 { .. } => "TRITON_AWS_MOUNT_DIRECTORY",
        Bucket::Gcs { .. } => "TRITON_GCS_MOUNT_DIRECTORY",
        Bucket::Azure { .. } => "TRITON_AZURE_MOUNT_DIRECTORY",
    }
}

/// A repository whose models are mirrored here when they are requested.
pub struct StoreRepository {
    inner: Arc<Inner>,
    runtime: Arc<StoreRuntime>,
}

struct Inner {
    location: StoreLocation,
    store: Arc<dyn ObjectStore>,
    cache: Cache,
    models: Mutex<HashMap<String, Arc<Kept>>>,
    /// The last listing that came.
    seen: Mutex<Option<BTreeMap<String, Fingerprint>>>,
}

/// What is kept of a model between two fetches.
struct Kept {
    cache: Arc<ModelCache>,
    /// The latest snapshot, if somebody still holds it. Locked while the model is being fetched.
    latest: tokio::sync::Mutex<Option<(Fingerprint, Weak<StoreSnapshot>)>>,
}

impl fmt::Debug for StoreRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRepository").field("location", &self.inner.location).finish_non_exhaustive()
    }
}

impl RemoteRepository for StoreRepository {
    fn location(&self) -> &str {
        &self.inner.location.url
    }

    fn list(&self, remote_timeout: RemoteTimeout) -> Result<BTreeMap<String, Fingerprint>, RemoteFault> {
        let inner = Arc::clone(&self.inner);
        self.runtime.wait_for(async move {
            if remote_timeout == RemoteTimeout::Full {
                return inner.list().await;
            }
            let late = || RemoteFault(format!("it did not answer within {} s", SHORT.as_secs()));
            let listed = tokio::time::timeout(SHORT, inner.list()).await;
            let fault = match listed.unwrap_or_else(|_| Err(late())) {
                Ok(listed) => return Ok(listed),
                Err(fault) => fault,
            };
            let seen = inner.seen.lock().clone();
            seen.ok_or_else(|| fault.clone()).inspect(|_| {
                warn!("{}: {fault}; what was seen there before is shown", inner.location.url);
            })
        })
    }

    fn close(&self) {
        self.inner.cache.close();
    }

    fn contains(&self, name: &str) -> Result<bool, RemoteFault> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        self.runtime.wait_for(async move { inner.contains(&name).await })
    }

    fn config(&self, name: &str, config_name: Option<&str>) -> Result<Option<String>, RemoteFault> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let custom = config_name.map(|config| format!("configs/{config}.pbtxt"));
        self.runtime.wait_for(async move { inner.config(&name, custom.as_deref()).await })
    }

    fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        self.runtime.wait_for(async move { inner.fetch(&name).await })
    }
}

impl Inner {
    async fn list(&self) -> Result<BTreeMap<String, Fingerprint>, RemoteFault> {
        let models = self.listings().await?;
        for (name, model) in &models {
            for (key, reason) in &model.ignored {
                warn!(model = name, "ignored object {key:?} of {}: {reason}", self.location.url);
            }
        }
        if models.is_empty() {
            warn!("there is no model in {}; check its path", self.location.url);
        }
        let prints: BTreeMap<_, _> =
            models.into_iter().map(|(name, model)| (name, model.fingerprint())).collect();
        *self.seen.lock() = Some(prints.clone());
        Ok(prints)
    }

    /// Every model by one listing. If a key in it is no path at all, which spoils the whole listing, then by one for
    /// each model, so that it spoils no other.
    async fn listings(&self) -> Result<BTreeMap<String, ModelListing>, RemoteFault> {
        let prefix = self.prefix();
        match self.objects(prefix.as_ref()).await {
            Ok(objects) => return Ok(listing::models(&self.location.prefix, objects)),
            Err(object_store::Error::InvalidPath { source }) => {
                warn!("{}: {source}; listing each model by itself", self.location.url);
            }
            Err(error) => return Err(explain(&self.location, Operation::List, &error)),
        }
        let folders = self.store.list_with_delimiter(prefix.as_ref()).await;
        let folders = folders.map_err(|e| explain(&self.location, Operation::List, &e))?.common_prefixes;
        let each = stream::iter(folders).map(|folder| async move {
            let name = folder.filename().unwrap_or_default().to_owned();
            match self.objects(Some(&folder)).await {
                Ok(objects) => Ok(listing::models(&self.location.prefix, objects)),
                Err(object_store::Error::InvalidPath { source }) => {
                    warn!(model = name, "it cannot be read from {}: {source}", self.location.url);
                    Ok(BTreeMap::new())
                }
                Err(error) => Err(explain(&self.location, Operation::List, &error)),
            }
        });
        let models: Vec<BTreeMap<String, ModelListing>> =
            each.buffer_unordered(LISTED_AT_ONCE).try_collect().await?;
        Ok(models.into_iter().flatten().collect())
    }

    async fn objects(&self, prefix: Option<&ObjectPath>) -> object_store::Result<Vec<ObjectMeta>> {
        self.store.list(prefix).try_collect().await
    }

    fn prefix(&self) -> Option<ObjectPath> {
        // Its parts were checked when the location was taken apart.
        ObjectPath::parse(&self.location.prefix).ok().filter(|path| !path.as_ref().is_empty())
    }

    fn folder(&self, name: &str) -> Result<ObjectPath, RemoteFault> {
        check_name(name)
            .map_err(|e| RemoteFault(format!("'{}' is not a model's name: {e}", name.escape_debug())))?;
        Ok(self.prefix().unwrap_or_default().join(name))
    }

    async fn contains(&self, name: &str) -> Result<bool, RemoteFault> {
        let mut objects = self.store.list(Some(&self.folder(name)?));
        match objects.next().await {
            None => Ok(false),
            // A key that is no path is a key all the same.
            Some(Ok(_) | Err(object_store::Error::InvalidPath { .. })) => Ok(true),
            Some(Err(error)) => Err(explain(&self.location, Operation::List, &error)),
        }
    }

    async fn listing(&self, name: &str) -> Result<Option<ModelListing>, RemoteFault> {
        let folder = self.folder(name)?;
        let objects = self.objects(Some(&folder)).await;
        let objects = objects.map_err(|e| explain(&self.location, Operation::List, &e))?;
        Ok(listing::models(&self.location.prefix, objects).remove(name))
    }

    async fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault> {
        // Nothing is kept of a name that is not there: clients may ask for any number of them.
        let Some(mut listing) = self.listing(name).await? else { return Ok(None) };
        let kept = self.kept(name);
        let mut latest = kept.latest.lock().await;
        for last in (0..LISTINGS).rev().map(|left| left == 0) {
            for (key, reason) in &listing.ignored {
                warn!(model = name, "ignored object {key:?} of {}: {reason}", self.location.url);
            }
            let fingerprint = listing.fingerprint();
            let same = latest.as_ref().filter(|(print, _)| *print == fingerprint);
            if let Some(files) = same.and_then(|(_, files)| files.upgrade()) {
                return Ok(Some(RemoteModel { fingerprint, files }));
            }
            let missing = kept.cache.missing(&listing)?.into_iter().cloned().collect();
            match download::fetch(&self.store, &self.location, &kept.cache, name, missing).await {
                Ok(()) => {}
                Err(FetchError::Changed(fault)) if !last => {
                    warn!(model = name, "{fault}; listing it again");
                    let Some(now) = self.listing(name).await? else { return Ok(None) };
                    listing = now;
                    continue;
                }
                Err(trouble) => return Err(trouble.into_fault()),
            }
            let files = Arc::new(kept.cache.snapshot(&listing)?);
            *latest = Some((fingerprint, Arc::downgrade(&files)));
            let files: Arc<dyn Snapshot> = files;
            return Ok(Some(RemoteModel { fingerprint, files }));
        }
        Err(RemoteFault("it went on changing while it was being read".to_owned()))
    }

    /// Goes through the cache: the model's other files will follow.
    async fn config(&self, name: &str, custom: Option<&str>) -> Result<Option<String>, RemoteFault> {
        let Some(listing) = self.listing(name).await? else { return Ok(None) };
        let wanted = [custom, Some("config.pbtxt")].into_iter().flatten();
        let mut found = wanted.filter_map(|path| Some((path.to_owned(), listing.files.get(path)?.clone())));
        let Some((path, object)) = found.next().filter(|(_, object)| object.size <= MAX_CONFIG) else {
            return Ok(Some(String::new()));
        };
        let kept = self.kept(name);
        // While the model is fetched by somebody else its objects come from there.
        let _latest = kept.latest.lock().await;
        let only = ModelListing { files: [(path, object.clone())].into(), ..ModelListing::default() };
        if !kept.cache.missing(&only)?.is_empty() {
            let fetched = download::fetch_one(&self.store, &self.location, &kept.cache, &object).await;
            fetched.map_err(FetchError::into_fault)?;
        }
        let path = kept.cache.object_path(&object);
        let text = std::fs::read(&path).map_err(|e| disk(&path, &e))?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// For a name that was checked: it becomes part of a path.
    fn kept(&self, name: &str) -> Arc<Kept> {
        let mut models = self.models.lock();
        let kept = models.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Kept { cache: self.cache.model(name), latest: tokio::sync::Mutex::default() })
        });
        Arc::clone(kept)
    }
}

#[cfg(test)]
mod tests;
