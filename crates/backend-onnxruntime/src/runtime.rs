//! The ONNX Runtime of the process: opened with the first model, never closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_backend::{Error, Result};
use ort::environment::{Environment, GlobalThreadPoolOptions};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::Settings;
use crate::arena::Shrinking;
use crate::error::engine;
use crate::ffi::library::probe;
use crate::ffi::telemetry;
use crate::messages::{log, log_level};
use crate::pools::{Pool, PoolSize, shared_pool};

/// The tested versions, oldest and newest. Older versions are refused, newer ones are accepted.
const TESTED: [&str; 2] = ["1.31.1", "1.32.0"];

/// An open library and its environment.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) environment: Environment,
    pub(crate) library: PathBuf,
    pub(crate) version: String,
    /// `None` if the settings disable it.
    pub(crate) shrinking: Option<Arc<Shrinking>>,
    pool: SharedPool,
}

/// The pool that sessions share. The library makes it with its environment, of which a process has one for each file of the library:
/// if another part of the process, such as Triton's own backend for ONNX Runtime, has made that before, there is none.
#[derive(Debug)]
struct SharedPool {
    size: Option<PoolSize>,
    is_missing: AtomicBool,
}

impl Runtime {
    /// The pool for a session that is to have this one.
    pub(crate) fn pool(&self, wanted: Pool) -> Pool {
        match self.pool.size {
            Some(size) if wanted == Pool::Shared && self.pool.is_missing.load(Ordering::Relaxed) => {
                Pool::Own(size)
            }
            _ => wanted,
        }
    }

    /// Notes that there is no shared pool, if that is what this error of a session says.
    pub(crate) fn is_without_pool(&self, error: &Error) -> bool {
        let is_without =
            self.pool.size.is_some() && error.message().contains("EnvCreatedWithGlobalThreadPools");
        if is_without && !self.pool.is_missing.swap(true, Ordering::Relaxed) {
            warn!(
                "ONNX Runtime was in use by another part of this process, such as a backend of Triton's, before this server had it \
                 make the threads that models share: each session has threads of its own"
            );
        }
        is_without
    }
}

/// There can be only one: the library has global state, and the environment can be created once.
static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

/// Returns the runtime of this process. The first call opens it with these settings, which then apply to the process;
/// concurrent calls wait. A failed call may be repeated, for instance after the library was installed.
pub(crate) fn runtime(settings: &Settings) -> Result<Arc<Runtime>> {
    let path = settings.library.to_open().map_err(|places| nowhere(&places))?;
    let mut slot = RUNTIME.lock();
    if let Some(runtime) = &*slot
        && runtime.library == path
    {
        return Ok(Arc::clone(runtime));
    }
    if !telemetry::is_off() {
        warn!(
            "ORT_DISABLE_TELEMETRY of this process leaves ONNX Runtime's telemetry on: it keeps a device id and a database of \
             events in the user's cache folder, and sends them to its maker"
        );
    }
    let version = probe(&path).map_err(|why| unusable(&path, &why))?;
    if let Some(runtime) = &*slot {
        let loaded = runtime.library.display();
        return Err(unusable(&path, &format!("this process already uses '{loaded}'")));
    }
    // The crate `ort` panics on some errors.
    let opened = catch_unwind(AssertUnwindSafe(|| open(settings, &path)))
        .unwrap_or_else(|_| Err("it panicked".to_owned()));
    let environment = opened.map_err(|why| unusable(&path, &why))?;
    info!(version, library = %path.display(), "ONNX Runtime is loaded");
    if !TESTED.contains(&version.as_str()) {
        let [oldest, newest] = TESTED;
        warn!("ONNX Runtime {oldest} and {newest} are tested, '{}' is {version}", path.display());
    }
    let shrinking = settings.memory_period.and_then(|period| {
        let started = Shrinking::start(period);
        started.inspect_err(|e| warn!("the memory of runs is kept, its thread cannot be started: {e}")).ok()
    });
    let pool = SharedPool { size: shared_pool(settings), is_missing: AtomicBool::new(false) };
    let runtime = Arc::new(Runtime { environment, library: path, version, shrinking, pool });
    Ok(Arc::clone(slot.insert(runtime)))
}

fn open(settings: &Settings, path: &Path) -> Result<Environment, String> {
    let text = |e: ort::Error| engine(e).message().to_owned();
    let mut builder = ort::init_from(path).map_err(|e| e.to_string())?;
    builder = builder.with_name("hippocamp").with_telemetry(false).with_logger(Arc::new(log));
    if let Some(size) = shared_pool(settings) {
        builder = builder.with_global_thread_pool(thread_pool(size, settings.allow_spinning).map_err(text)?);
    }
    let environment = builder.build().map_err(text)?;
    environment.set_log_level(log_level());
    Ok(environment)
}

fn thread_pool(size: PoolSize, allow_spinning: bool) -> ort::Result<GlobalThreadPoolOptions> {
    let options = GlobalThreadPoolOptions::default().with_spin_control(allow_spinning)?;
    options.with_intra_threads(size.intra)?.with_inter_threads(size.inter)
}

#[cold]
fn unusable(path: &Path, why: &str) -> Error {
    let [oldest, _] = TESTED;
    Error::unavailable(format!(
        "ONNX Runtime cannot be loaded from '{}': {why}. Version {oldest} or later is expected: get it with scripts/fetch, or \
         name the library with --backend-config=onnxruntime,library=PATH",
        path.display()
    ))
}

#[cold]
fn nowhere(places: &str) -> Error {
    let [oldest, _] = TESTED;
    Error::unavailable(format!(
        "ONNX Runtime was not found. Version {oldest} or later is expected: get it with scripts/fetch or 'pip install \
         onnxruntime', or name the library with HIPPOCAMP_ONNXRUNTIME_LIBRARY or --backend-config=onnxruntime,library=PATH. It \
         was looked for in {places}"
    ))
}
