//! The TensorFlow of the process: opened with the first model, never closed.

use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::Settings;
use crate::ffi::library::Library;
use crate::ffi::variables;

/// The tested version. Later ones are accepted, and earlier ones down to the oldest that has all functions.
const TESTED: &str = "2.21.0";

/// There can be only one: two libraries would share the names of their kernels.
static RUNTIME: Mutex<Option<(PathBuf, &'static Library)>> = Mutex::new(None);

/// Returns the library of this process. The first call opens it; concurrent calls wait. A failed call may be repeated, for
/// instance after the library was installed.
pub(crate) fn runtime(settings: &Settings) -> Result<&'static Library> {
    variables::keep();
    let path = settings.library.to_open().map_err(|places| nowhere(&places))?;
    let mut slot = RUNTIME.lock();
    if let Some((loaded, library)) = &*slot {
        if *loaded == path {
            return Ok(library);
        }
        let loaded = loaded.display();
        return Err(unusable(&path, &format!("this process already uses '{loaded}'")));
    }
    let library = Library::open(&path).map_err(|why| unusable(&path, &why))?;
    let version = &library.version;
    info!(version, library = %path.display(), "TensorFlow is loaded");
    if version != TESTED {
        warn!("TensorFlow {TESTED} is tested, '{}' is {version}", path.display());
    }
    // Never released, as it cannot be unloaded.
    let library: &'static Library = Box::leak(Box::new(library));
    *slot = Some((path, library));
    Ok(library)
}

#[cold]
fn unusable(path: &Path, why: &str) -> Error {
    Error::unavailable(format!(
        "TensorFlow cannot be loaded from '{}': {why}. Version {TESTED} is expected, with libtensorflow_framework.so.2 in \
         the same folder: get it with scripts/fetch tensorflow, or name the library with \
         --backend-config=tensorflow,library=PATH",
        path.display()
    ))
}

#[cold]
fn nowhere(places: &str) -> Error {
    Error::unavailable(format!(
        "TensorFlow was not found. Version {TESTED} is expected: get it with scripts/fetch tensorflow or 'pip install \
         tensorflow-cpu', or name libtensorflow_cc.so.2 with HIPPOCAMP_TENSORFLOW_LIBRARY or \
         --backend-config=tensorflow,library=PATH. It was looked for in {places}"
    ))
}
