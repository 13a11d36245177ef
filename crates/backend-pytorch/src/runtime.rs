//! The PyTorch of the process: opened with the first model, never closed.

use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::Settings;
use crate::ffi::library::Library;
use crate::settings::SHIM;

/// The tested version. Others are taken if the shim was built for them.
const TESTED: &str = "2.15.0";

/// There can be only one: two libraries would share the names of their operators.
static RUNTIME: Mutex<Option<(PathBuf, &'static Library)>> = Mutex::new(None);

/// Returns the library of this process. The first call opens it; concurrent calls wait. A failed call may be repeated, for
/// instance after the library was installed.
pub(crate) fn runtime(settings: &Settings) -> Result<&'static Library> {
    let path = settings.library.to_open().map_err(|places| nowhere(&places))?;
    let mut slot = RUNTIME.lock();
    if let Some((loaded, library)) = &*slot {
        if *loaded == path {
            return Ok(library);
        }
        let loaded = loaded.display();
        return Err(unusable(&path, &format!("this process already uses '{loaded}'")));
    }
    let shim = settings.shim.clone().unwrap_or_else(|| path.with_file_name(SHIM));
    let library = Library::open(&path, &shim).map_err(|why| unusable(&path, &why))?;
    let version = &library.version;
    info!(version, library = %path.display(), "PyTorch is loaded");
    if version != TESTED {
        warn!("PyTorch {TESTED} is tested, '{}' is {version}", path.display());
    }
    if let Some(count) = settings.inter_op_thread_count {
        library.set_interop_threads(count).map_err(|why| unusable(&path, &why))?;
    }
    // Never released, as it cannot be unloaded.
    let library: &'static Library = Box::leak(Box::new(library));
    *slot = Some((path, library));
    Ok(library)
}

#[cold]
fn unusable(path: &Path, why: &str) -> Error {
    Error::unavailable(format!(
        "PyTorch cannot be loaded from '{}': {why}. Version {TESTED} is expected, with {SHIM} beside it: get both with \
         scripts/fetch torch and scripts/torch-shim, or name the library with --backend-config=pytorch,library=PATH, the \
         shim with shim=PATH",
        path.display()
    ))
}

#[cold]
fn nowhere(places: &str) -> Error {
    Error::unavailable(format!(
        "PyTorch was not found. Version {TESTED} is expected: get it with scripts/fetch torch and scripts/torch-shim, or name \
         libtorch_cpu.so with HIPPOCAMP_PYTORCH_LIBRARY or --backend-config=pytorch,library=PATH. It was looked for in {places}"
    ))
}
