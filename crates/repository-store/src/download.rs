//! Downloads objects, several at once. A partial download is never visible under the object's name.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use hippocamp_repository::RemoteFault;
use object_store::{GetOptions, ObjectStore};
use tempfile::NamedTempFile;
use tracing::{debug, info, warn};

use crate::StoreLocation;
use crate::cache::{ModelCache, PARTIAL};
use crate::error::{Operation, disk, explain};
use crate::listing::ListedObject;

/// Objects that are fetched at the same time, for each model that is being loaded.
const AT_ONCE: usize = 8;

/// How often an object that came incomplete is requested again, after what the client tries by itself.
const ATTEMPTS: u32 = 3;

/// How often the log hears of a download that goes on.
const PROGRESS: Duration = Duration::from_secs(10);

/// Why an object could not be fetched.
pub(crate) enum FetchError {
    /// The object changed since it was listed, so the model has to be listed again.
    Changed(RemoteFault),
    /// The download failed; another attempt may succeed.
    Failed(RemoteFault),
    /// The store refused it, or the disk is full; another attempt would fail as well.
    Refused(RemoteFault),
}

impl FetchError {
    pub(crate) fn into_fault(self) -> RemoteFault {
        match self {
            FetchError::Changed(fault) | FetchError::Failed(fault) | FetchError::Refused(fault) => fault,
        }
    }
}

/// Fetches these objects of a model into its cache.
pub(crate) async fn fetch(
    store: &Arc<dyn ObjectStore>,
    location: &StoreLocation,
    cache: &ModelCache,
    model: &str,
    objects: Vec<ListedObject>,
) -> Result<(), FetchError> {
    if objects.is_empty() {
        return Ok(());
    }
    let (count, total) = (objects.len(), objects.iter().map(|o| o.size).sum::<u64>());
    info!(model, objects = count, bytes = total, "fetching from {}", location.url);
    let begin = Instant::now();
    let received = AtomicU64::new(0);
    let all = stream::iter(objects)
        .map(|object| {
            let received = &received;
            async move { fetch_counted(store, location, cache, &object, received).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| async { Ok(()) });
    tokio::pin!(all);
    let mut ticks = tokio::time::interval(PROGRESS);
    ticks.tick().await;
    loop {
        tokio::select! {
            done = &mut all => {
                done?;
                break;
            }
            _ = ticks.tick() => {
                let bytes = received.load(Ordering::Relaxed);
                info!(model, bytes, of = total, seconds = begin.elapsed().as_secs(), "still fetching");
            }
        }
    }
    let ms = begin.elapsed().as_millis();
    info!(model, objects = count, bytes = total, ms, "fetched from {}", location.url);
    Ok(())
}

/// Fetches one object into a model's cache, without a log message.
pub(crate) async fn fetch_one(
    store: &Arc<dyn ObjectStore>,
    location: &StoreLocation,
    cache: &ModelCache,
    object: &ListedObject,
) -> Result<(), FetchError> {
    fetch_counted(store, location, cache, object, &AtomicU64::new(0)).await
}

async fn fetch_counted(
    store: &Arc<dyn ObjectStore>,
    location: &StoreLocation,
    cache: &ModelCache,
    object: &ListedObject,
    received: &AtomicU64,
) -> Result<(), FetchError> {
    let mut pause = Duration::from_millis(200);
    let mut attempt = 1;
    loop {
        match download(store, location, cache, object, received).await {
            Err(FetchError::Failed(fault)) if attempt < ATTEMPTS => {
                warn!("{fault}; trying again");
                tokio::time::sleep(pause).await;
                pause *= 2;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Streams an object to a file without a name that anything would read, and gives it its name when it is whole.
async fn download(
    store: &Arc<dyn ObjectStore>,
    location: &StoreLocation,
    cache: &ModelCache,
    object: &ListedObject,
    received: &AtomicU64,
) -> Result<(), FetchError> {
    let operation = Operation::Object(&object.key);
    let failed = |error: object_store::Error| {
        let fault = explain(location, operation, &error);
        match error {
            object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => {
                FetchError::Changed(fault)
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                FetchError::Refused(fault)
            }
            _ => FetchError::Failed(fault),
        }
    };
    let objects = cache.objects();
    let io = |e: std::io::Error| FetchError::Refused(disk(&objects, &e));
    let mut file = NamedTempFile::with_prefix_in(PARTIAL, &objects).map_err(io)?;
    let key = object_store::path::Path::parse(&object.key).map_err(|e| failed(e.into()))?;
    let options = GetOptions { if_match: object.etag.clone(), ..GetOptions::default() };
    let mut body = store.get_opts(&key, options).await.map_err(failed)?.into_stream();
    let (mut size, mut counted) = (0, 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(failed)?;
        size += chunk.len() as u64;
        if size > object.size {
            break;
        }
        counted = size;
        received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        file.write_all(&chunk).map_err(io)?;
    }
    if size != object.size {
        received.fetch_sub(counted, Ordering::Relaxed);
        return Err(FetchError::Failed(RemoteFault(format!(
            "object '{}' came with {size} bytes, expected {}",
            object.key, object.size
        ))));
    }
    keep(file, &cache.object_path(object)).map_err(io)?;
    debug!("fetched object '{}' of {}", object.key, location.url);
    Ok(())
}

/// Nothing may write to it any more: snapshots share the file.
fn keep(file: NamedTempFile, path: &Path) -> std::io::Result<()> {
    let mut permissions = file.as_file().metadata()?.permissions();
    permissions.set_readonly(true);
    file.as_file().set_permissions(permissions)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
