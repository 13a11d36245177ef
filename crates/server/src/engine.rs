//! The backends that open an engine's library. Finds these libraries if their paths are not configured, whatever the
//! working directory.

#[cfg(feature = "pytorch")]
mod pytorch;
#[cfg(feature = "tensorflow")]
mod tensorflow;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
#[cfg(feature = "onnxruntime")]
use std::sync::Arc;

#[cfg(feature = "onnxruntime")]
use hippocamp_backend::Backend;
#[cfg(feature = "onnxruntime")]
use hippocamp_backend_onnxruntime::{OLDEST_MINOR_VERSION, OnnxRuntimeBackend, Settings};
#[cfg(feature = "onnxruntime")]
use hippocamp_device::Devices;

#[cfg(feature = "onnxruntime")]
use crate::args::Args;
use crate::python::Pythons;
#[cfg(feature = "pytorch")]
pub(crate) use pytorch::backend as pytorch_backend;
#[cfg(feature = "tensorflow")]
pub(crate) use tensorflow::backend as tensorflow_backend;

/// The file name of ONNX Runtime's library. In the Python package the version is appended.
const NAME: &str = "libonnxruntime.so";
/// The environment variable that names the library's path.
pub(crate) const VARIABLE: &str = "HIPPOCAMP_ONNXRUNTIME_LIBRARY";
/// How many folders above the executable's the `target` folder of a clone may be: `target/release` or
/// `target/TRIPLE/release`.
const CLONE_DEPTH: usize = 2;

/// The backend for ONNX models, which opens the library when the first one is loaded.
#[cfg(feature = "onnxruntime")]
pub(crate) fn backend(args: &Args, devices: &Devices) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let settings = match find(&Environment::of_process(VARIABLE), OLDEST_MINOR_VERSION) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("onnxruntime"))?;
    let settings = Settings { devices: devices.clone(), ..settings };
    Ok(vec![Arc::new(OnnxRuntimeBackend::new(settings))])
}

/// The inputs of the search beside the file system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The value of the variable that names the library.
    pub(crate) named: Option<PathBuf>,
    /// The path of the executable, with links resolved.
    pub(crate) executable: Option<PathBuf>,
    /// Data folders for programs: the user's, then the machine's.
    pub(crate) data: Vec<PathBuf>,
    pub(crate) pythons: Pythons,
}

/// The result of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// The path was configured; whether it exists shows when the library is opened.
    Named(PathBuf),
    Found(PathBuf),
    /// Not found in any of these places, listed in the order of the search. Never empty.
    Nowhere(Vec<PathBuf>),
}

impl Environment {
    /// Reads them from the environment of this process.
    pub(crate) fn of_process(variable: &str) -> Environment {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder("HOME");
        let own = folder("XDG_DATA_HOME").or_else(|| Some(home.as_ref()?.join(".local/share")));
        let shared = env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
        let shared = shared.unwrap_or_else(|| OsString::from("/usr/local/share:/usr/share"));
        Environment {
            named: folder(variable),
            executable: env::current_exe().and_then(|path| path.canonicalize()).ok(),
            data: own
                .into_iter()
                .chain(env::split_paths(&shared))
                .filter(|path| path.is_absolute())
                .collect(),
            pythons: Pythons::of_process(),
        }
    }
}

/// Searches beside the executable, in the clone that it was built in, in the data folders, and in the `onnxruntime`
/// package of the active Python, without starting Python. `oldest` is the lowest minor version accepted, if the file's
/// name tells the version.
pub(crate) fn find(around: &Environment, oldest: u32) -> Search {
    if let Some(named) = &around.named {
        return Search::Named(named.clone());
    }
    let mut looked = fixed_places(around, NAME, "onnxruntime");
    if let Some(found) = looked.iter().find(|place| place.is_file()) {
        return Search::Found(found.clone());
    }
    for packages in around.pythons.package_folders() {
        let capi = packages.join("onnxruntime/capi");
        if let Some(found) = newest(&capi, oldest) {
            return Search::Found(found);
        }
        looked.push(capi.join(format!("{NAME}.1.*")));
    }
    if looked.is_empty() {
        looked.push(PathBuf::from(NAME));
    }
    Search::Nowhere(looked)
}

/// The places for a library of that name outside of Python. `cache` is its folder in the cache of `scripts/fetch`.
fn fixed_places(around: &Environment, name: &str, cache: &str) -> Vec<PathBuf> {
    let beside = around.executable.as_deref().and_then(Path::parent);
    let own = beside.into_iter().flat_map(|folder| {
        let above = folder.parent().unwrap_or(folder);
        [folder.join(name), folder.join("lib").join(name), above.join("lib/hippocamp").join(name)]
    });
    let above = beside.into_iter().flat_map(|folder| folder.ancestors().skip(1).take(CLONE_DEPTH));
    // Only `target` is trusted: any other folder may belong to another user.
    let targets = above.filter(|folder| folder.file_name().is_some_and(|name| name == "target"));
    let clones = targets.filter_map(Path::parent);
    let clones = clones.map(|clone| clone.join(".cache").join(cache).join("lib").join(name));
    let data = around.data.iter().map(|data| data.join("hippocamp").join(name));
    own.chain(clones).chain(data).collect()
}

/// An engine's library that a Python package carries under a name without a version.
#[cfg(any(feature = "pytorch", feature = "tensorflow"))]
struct PackagedLibrary {
    /// Its file name.
    name: &'static str,
    /// The environment variable that names its path.
    variable: &'static str,
    /// Its folder in the cache of `scripts/fetch`.
    cache: &'static str,
    /// Its folder among the packages of a Python.
    package: &'static str,
}

#[cfg(any(feature = "pytorch", feature = "tensorflow"))]
impl PackagedLibrary {
    /// Searches in the places of every engine, and in the package of the active Python, without starting Python.
    fn find(&self, around: &Environment) -> Search {
        if let Some(named) = &around.named {
            return Search::Named(named.clone());
        }
        let mut places = fixed_places(around, self.name, self.cache);
        let packages = around.pythons.package_folders();
        places.extend(packages.into_iter().map(|packages| packages.join(self.package).join(self.name)));
        match places.iter().find(|place| place.is_file()) {
            Some(found) => Search::Found(found.clone()),
            None if places.is_empty() => Search::Nowhere(vec![self.name.into()]),
            None => Search::Nowhere(places),
        }
    }
}

/// The library with the highest version in the Python package.
fn newest(capi: &Path, oldest: u32) -> Option<PathBuf> {
    let entries = std::fs::read_dir(capi).ok()?.flatten();
    let versions = entries.filter_map(|entry| {
        let version = version_of(entry.file_name().to_str()?)?;
        (version >= (oldest, 0) && entry.path().is_file()).then(|| (version, entry.path()))
    });
    versions.max().map(|(_, path)| path)
}

/// Minor and patch version in `libonnxruntime.so.1.31.1`.
fn version_of(name: &str) -> Option<(u32, u32)> {
    let mut parts = name.strip_prefix(NAME)?.strip_prefix(".1.")?.split('.');
    let version = (parts.next()?.parse().ok()?, parts.next().unwrap_or("0").parse().ok()?);
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests;
