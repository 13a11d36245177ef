//! Backend libraries: where they are, what they want of the host, and what they offer.

mod elf;
mod entry_points;
mod exceptions;
mod given_up;
mod maps;
mod namesakes;
mod regions;
mod search;
mod semaphores;
mod stand_in;
mod strategy;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};
use libloading::os::unix::Library;
use parking_lot::Mutex;

pub(crate) use entry_points::{EntryPoints, ask_attributes, call_if_there, execute};
pub(crate) use exceptions::cpp_library;
pub(crate) use given_up::{Answer, Waits};
pub(crate) use regions::release;
pub(crate) use search::{Found, PYTHON, Search, not_found, usual_file};
pub(crate) use strategy::{BatchState, Batcher};

use crate::exports;

/// An opened library of a backend. It is never closed: it may have threads, and thread-local state of threads of ours.
#[derive(Debug)]
pub(crate) struct BackendLibrary {
    pub(crate) path: PathBuf,
    pub(crate) entry_points: EntryPoints,
    /// Whether its models may make requests to others.
    pub(crate) calls_models: bool,
    /// Whether `python-stubs` is told when it wakes a stub.
    pub(crate) tells_of_wakes: bool,
}

/// The libraries are opened one at a time, as in Triton: what they do while they are opened need not be prepared for less.
static OPENING: Mutex<()> = Mutex::new(());

impl BackendLibrary {
    /// Opens a library, once all that it wants of the host is known to be there.
    pub(crate) fn open(path: &Path) -> Result<BackendLibrary> {
        let (library, wanted) = opened(path)?;
        let entry_points = EntryPoints::find(&library).map_err(|why| refused(path, &why))?;
        let tells_of_wakes = path.file_name().is_some_and(|name| name == PYTHON_LIBRARY) && {
            let _opening = OPENING.lock();
            semaphores::watch(&library)
        };
        std::mem::forget::<Library>(library);
        let Wanted { calls_models, .. } = wanted;
        Ok(BackendLibrary { path: path.to_owned(), entry_points, calls_models, tells_of_wakes })
    }
}

fn refused(path: &Path, why: &str) -> Error {
    let path = path.display();
    Error::invalid_arg(format!("unable to load backend library '{path}': {why}"))
}

/// Opens a library that wants functions of the host, once all are known to be there.
fn opened(path: &Path) -> Result<(Library, Wanted)> {
    let refused = |why: String| refused(path, &why);
    let wanted = wanted(path).map_err(refused)?;
    if !wanted.missing.is_empty() {
        let missing = wanted.missing.join(", ");
        let error = refused(format!("it wants functions that this server does not have: {missing}"));
        return Err(Error::unsupported(error.message().to_owned()));
    }
    let _opening = OPENING.lock();
    for name in &wanted.server_libraries {
        stand_in::provide(name).map_err(refused)?;
    }
    let hidden = namesakes::hide(path);
    let library = hippocamp_engine_library::open(path).map_err(refused)?;
    drop(hidden);
    Ok((library, wanted))
}

/// What a library wants of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The names under which it wants the server's library.
    pub(crate) server_libraries: Vec<String>,
    /// Functions of the interface that this server does not have.
    pub(crate) missing: Vec<String>,
    /// It has calls of other models.
    pub(crate) calls_models: bool,
}

/// The largest library that is looked into.
const LIMIT: u64 = 4 << 30;

/// Reads what a library wants of the server, without opening it as a library.
///
/// # Errors
/// The reason, as the end of a sentence.
pub(crate) fn wanted(path: &Path) -> Result<Wanted, String> {
    let (file, size) = hippocamp_files::open(path).map_err(|e| e.to_string())?;
    if size > LIMIT {
        return Err(format!("it has {size} bytes, expected at most {LIMIT}"));
    }
    let dynamic = elf::read(&elf::FileSource::new(file, size), PREFIX)?;
    Ok(of_dynamic(&dynamic))
}

fn of_dynamic(dynamic: &elf::Dynamic) -> Wanted {
    let server = dynamic.needed.iter().filter(|name| is_server_library(name));
    // A library that names none still gets the functions.
    let mut server_libraries: Vec<String> = server.cloned().collect();
    if server_libraries.is_empty() {
        server_libraries.push(SERVER_LIBRARY.to_owned());
    }
    let undefined: BTreeSet<&str> = dynamic.undefined.iter().map(String::as_str).collect();
    let ours = |name: &&&str| name.starts_with("TRITONSERVER_") || name.starts_with("TRITONBACKEND_");
    let missing = undefined.iter().filter(ours).filter(|name| !exports::is_there(name));
    let missing = missing.map(|name| (*name).to_owned()).collect();
    Wanted { server_libraries, missing, calls_models: undefined.contains(CALL) }
}

/// The library of the Python backend.
pub(crate) const PYTHON_LIBRARY: &str = "libtriton_python.so";

/// The function by which models make requests to others.
const CALL: &str = "TRITONSERVER_ServerInferAsync";

/// How the names of the interface's functions begin.
const PREFIX: &str = "TRITON";

const SERVER_LIBRARY: &str = "libtritonserver.so";

/// Whether a needed library is the server's, which some packages have renamed: `libtritonserver-717102f0.so`.
fn is_server_library(name: &str) -> bool {
    name.strip_prefix("libtritonserver").is_some_and(|rest| rest.starts_with('.') || rest.starts_with('-'))
}

/// Reads a library from memory, for the fuzz target. Returns how many names it wants.
#[cfg(feature = "fuzzing")]
pub fn fuzz_elf(bytes: &[u8]) -> usize {
    let dynamic = elf::read(&elf::MemorySource(bytes), PREFIX).unwrap_or_default();
    drop(of_dynamic(&dynamic));
    dynamic.needed.len() + dynamic.undefined.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_server_libraries_are_known() {
        for name in ["libtritonserver.so", "libtritonserver-717102f0.so", "libtritonserver.so.2"] {
            assert!(is_server_library(name), "{name}");
        }
        assert!(!is_server_library("libtritonserverless.so") && !is_server_library("libtriton_x.so"));
    }

    #[test]
    fn what_is_wanted_and_not_there_is_named() {
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let dynamic = elf::Dynamic {
            needed: named(&["libc.so.6", "libtritonserver-1.so"]),
            undefined: named(&["TRITONSERVER_ErrorNew", "TRITONSERVER_Nonsense", "malloc", "TRITONCACHE_X"]),
        };
        let expected = Wanted {
            server_libraries: named(&["libtritonserver-1.so"]),
            missing: named(&["TRITONSERVER_Nonsense"]),
            calls_models: false,
        };
        assert_eq!(of_dynamic(&dynamic), expected);
        let caller =
            elf::Dynamic { needed: Vec::new(), undefined: named(&["TRITONSERVER_ServerInferAsync"]) };
        assert!(of_dynamic(&caller).calls_models);
    }
}
