//! Which library reads a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};
use hippocamp_tensorrt_sys::{Found, Library, Product, find_libraries};
use parking_lot::Mutex;
use tracing::info;

use crate::plan_file::Header;
use crate::{Settings, log};

/// The libraries that are open, which stay so: by path.
static OPEN: Mutex<BTreeMap<PathBuf, Library>> = Mutex::new(BTreeMap::new());

/// The library for a plan: the one that is named, else of those that were found one of the product and the major version that
/// built it, else the first.
pub(crate) fn library_for(settings: &Settings, header: Header) -> Result<Library> {
    if let Some(named) = &settings.library {
        return open(settings, named);
    }
    let found = find_libraries(&settings.folders);
    let wanted = |library: &&Found| match header {
        Header::Built(product, version) => {
            library.product == product && (library.major == version.major || product == Product::TensorRtRtx)
        }
        Header::Unknown => true,
    };
    match found.iter().find(wanted).or(found.first()) {
        Some(library) => open(settings, &library.path),
        None => Err(nowhere(settings, header)),
    }
}

/// Any library, to see whether there is one.
pub(crate) fn any_library(settings: &Settings) -> Result<Library> {
    library_for(settings, Header::Unknown)
}

fn open(settings: &Settings, path: &Path) -> Result<Library> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut open = OPEN.lock();
    if let Some(library) = open.get(&path) {
        return Ok(library.clone());
    }
    log::install();
    let library =
        Library::open(&path).map_err(|fault| Error::unavailable(fault.to_string()).with_source(fault))?;
    info!(version = %library.version(), library = %path.display(), "{} is loaded", library.product());
    register_plugins(settings, &library)?;
    Ok(open.entry(path).or_insert(library).clone())
}

/// Opens the library with NVIDIA's own plugins if it lies beside, and those that are named.
fn register_plugins(settings: &Settings, library: &Library) -> Result<()> {
    let name = format!("libnvinfer_plugin.so.{}", library.version().major);
    let beside = library.path().parent().map(|folder| folder.join(name)).filter(|path| path.is_file());
    for path in beside.iter().chain(&settings.plugins) {
        let opened = Library::open_further(path).map_err(|fault| {
            Error::unavailable(format!("'{}' cannot be opened for its plugins: {fault}", path.display()))
        })?;
        if opened.register_plugins(library) == Some(false) {
            return Err(Error::unavailable(format!(
                "'{}' refused to register its plugins with {library}",
                path.display()
            )));
        }
        // One without that function registers what it has when it is opened.
        info!(library = %path.display(), "the plugins are registered");
    }
    Ok(())
}

#[cold]
fn nowhere(settings: &Settings, header: Header) -> Error {
    let folders: Vec<String> = settings.folders.iter().map(|folder| folder.display().to_string()).collect();
    let package = match header {
        Header::Built(Product::TensorRtRtx, _) => "'pip install tensorrt-rtx-cu13-libs'",
        _ => {
            "TensorRT 10 or 11 from NVIDIA, 'pip install tensorrt-cu13', or 'pip install tensorrt-lean-cu13-libs' for \
             version-compatible plans"
        }
    };
    Error::unavailable(format!(
        "TensorRT was not found: install {package}, or name the library with --backend-config=tensorrt,library=PATH. It was \
         looked for in {}",
        if folders.is_empty() { "no folder".to_owned() } else { folders.join(", ") }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_install() {
        let error = any_library(&Settings::new(vec!["/nowhere".into()])).unwrap_err();
        assert!(
            error.message().starts_with("TensorRT was not found: install TensorRT 10 or 11"),
            "{error:?}"
        );
        assert!(error.message().ends_with("looked for in /nowhere"));
    }
}
