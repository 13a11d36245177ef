//! The libraries of CUDA that the provider of ONNX Runtime needs, found and opened before it is.
//!
//! The wheels of Python packages put each into a folder of its own (`nvidia/*/lib`), where the loader does not look. The provider is
//! opened by name from within ONNX Runtime, so what it needs has to be in the process by then: the loader takes a library
//! that is there under its name. Neither the user's environment nor the order of imports matters then.

mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::elf;
use crate::ffi::cuda_variables;
use hippocamp_engine_library::open_for_all;

use search::{Folders, package};

/// The provider, which is beside the library of ONNX Runtime.
const PROVIDER: &str = "libonnxruntime_providers_cuda.so";

/// What the provider and its libraries open by name when they need it.
const OPENED_LATER: [&str; 3] = ["libnvrtc.so", "libcudnn.so", "libcufft.so"];

/// The folder of the last ONNX Runtime for which everything was opened.
static OPENED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Whether the ONNX Runtime of this library has the provider for CUDA.
pub(crate) fn has_provider(library: &Path) -> bool {
    beside(library).join(PROVIDER).is_file()
}

/// Opens what the provider for CUDA needs, of the folders `given`, of the wheels beside the library, or wherever the loader
/// finds it. Does nothing if it was done before.
pub(crate) fn open(model: &str, library: &Path, given: &[PathBuf]) -> Result<()> {
    let folder = beside(library);
    let mut opened = OPENED.lock();
    if opened.as_ref() == Some(&folder) {
        return Ok(());
    }
    let provider = folder.join(PROVIDER);
    if !provider.is_file() {
        return Err(Error::unsupported(format!(
            "unable to load model '{model}', its config asks for CUDA, and '{}' is not there: get ONNX Runtime with 'pip \
             install onnxruntime-gpu', and name its library with HIPPOCAMP_ONNXRUNTIME_LIBRARY or \
             --backend-config=onnxruntime,library=PATH",
            provider.display()
        )));
    }
    let mut opening = Opening { folders: Folders::new(&folder, given), done: BTreeSet::new() };
    let failed = |missing: Missing| missing.error(model, &opening_places(&folder, given));
    for name in needs(&provider) {
        opening.open(&name).map_err(failed)?;
    }
    for stem in OPENED_LATER {
        let Some(name) = opening.folders.name_of(stem) else {
            debug!("'{stem}' was not found beside ONNX Runtime; whoever needs it asks the loader");
            continue;
        };
        if let Err(missing) = opening.open(&name) {
            // Only some models need it.
            warn!("{}", missing.error(model, &opening_places(&folder, given)).message());
        }
    }
    let [workspace, queues] = cuda_variables::values();
    debug!("cuBLAS takes the workspace '{workspace}', and CUDA {queues} queues");
    *opened = Some(folder);
    Ok(())
}

/// The folder that the library is in, after links are followed: the providers lie beside the file itself.
fn beside(library: &Path) -> PathBuf {
    let file = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    file.parent().map(Path::to_owned).unwrap_or_default()
}

fn opening_places(folder: &Path, given: &[PathBuf]) -> String {
    let places = Folders::new(folder, given).to_string();
    if places.is_empty() { "no folder".to_owned() } else { places }
}

/// What a library needs of NVIDIA. What cannot be read is left to the loader, which says what is wrong with it.
fn needs(library: &Path) -> Vec<String> {
    let mut names = elf::needed(library).unwrap_or_default();
    names.retain(|name| name.starts_with("libcu") || name.starts_with("libnv"));
    names
}

struct Opening {
    folders: Folders,
    done: BTreeSet<String>,
}

/// A library that could not be opened.
struct Missing {
    name: String,
    why: String,
}

impl Opening {
    /// Opens a library behind those that it needs itself.
    fn open(&mut self, name: &str) -> Result<(), Missing> {
        if !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let found = self.folders.find(name);
        if let Some(file) = &found {
            for needed in needs(file) {
                self.open(&needed)?;
            }
        }
        let path = found.unwrap_or_else(|| PathBuf::from(name));
        open_for_all(&path).map_err(|why| Missing { name: name.to_owned(), why })?;
        debug!("'{}' is open", path.display());
        Ok(())
    }
}

impl Missing {
    #[cold]
    fn error(&self, model: &str, places: &str) -> Error {
        let Missing { name, why } = self;
        let way_out = match package(name) {
            Some(package) => format!(
                "get it with 'pip install {package}' beside ONNX Runtime, or name its folder with \
                 --backend-config=onnxruntime,cuda-libraries=PATH"
            ),
            None => "it belongs to NVIDIA's driver, which has to be installed".to_owned(),
        };
        Error::unsupported(format!(
            "unable to load model '{model}', its config asks for CUDA, of which '{name}' cannot be opened ({why}): {way_out}. \
             It was looked for in {places}, and by the loader"
        ))
    }
}
