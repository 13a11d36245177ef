//! An opened library.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library as Opened, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::build::Builder;
use crate::object::Owned;
use crate::runtime::Runtime;
use crate::{Layout, Product, Version, logger};

/// A library of TensorRT: the full one, the lean or the dispatch runtime, or TensorRT for RTX. Never closed: it has threads and
/// global state.
#[derive(Clone, Debug)]
pub struct Library(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    path: PathBuf,
    pub(crate) product: Product,
    pub(crate) version: Version,
    pub(crate) layout: Layout,
    create_runtime: Factory,
    create_builder: Option<Factory>,
}

/// The factory functions take the logger and the version that the caller was made for, and return an object or null.
type Factory = unsafe extern "C" fn(*mut c_void, i32) -> *mut c_void;

/// Why a library cannot be used.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' cannot be used as TensorRT: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for OpenError {}

impl OpenError {
    pub(crate) fn new(path: &Path, why: &str) -> OpenError {
        OpenError { path: path.to_owned(), why: why.to_owned() }
    }
}

impl Library {
    /// Opens a library and reads its version; nothing else of it is called.
    ///
    /// # Errors
    /// The file cannot be opened, is not TensorRT, or is of a version whose interfaces are not known.
    pub fn open(path: &Path) -> Result<Library, OpenError> {
        let opened = open(path, RTLD_LOCAL);
        let inner = opened.and_then(|opened| Inner::of(path, opened));
        inner.map(|inner| Library(Arc::new(inner))).map_err(|why| OpenError { path: path.to_owned(), why })
    }

    /// Opens a further library, such as one with plugins, for good: its symbols can be used by those that are opened later.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_further(path: &Path) -> Result<Further, OpenError> {
        let opened = open(path, RTLD_GLOBAL);
        opened
            .map(|opened| Further(std::mem::ManuallyDrop::new(opened)))
            .map_err(|why| OpenError { path: path.to_owned(), why })
    }

    /// Where it was opened from.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Which product it is of.
    pub fn product(&self) -> Product {
        self.0.product
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The order of its methods.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Whether it can make plans, or only run them.
    pub fn can_build(&self) -> bool {
        self.0.create_builder.is_some()
    }

    /// Makes what reads plans. `None` if the library refuses, which it says in its log: without a GPU, above all.
    pub fn runtime(&self) -> Option<Runtime> {
        // SAFETY: the logger is of this layout and lives as long as the process; the version is the library's own.
        let object = unsafe { self.create(self.0.create_runtime) };
        object.map(Runtime::new)
    }

    /// Makes what makes plans. `None` if the library has no builder, or refuses, which it says in its log.
    pub fn builder(&self) -> Option<Builder> {
        // SAFETY: as above.
        let object = unsafe { self.create(self.0.create_builder?) };
        object.map(Builder::new)
    }

    /// # Safety
    /// The factory returns an object of a public class.
    unsafe fn create(&self, factory: Factory) -> Option<Owned> {
        // SAFETY: the caller's word.
        unsafe {
            let object = factory(logger::logger(self.0.layout), self.0.version.number());
            Owned::new(object, &self.0)
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.product, self.0.version)
    }
}

/// A library that was opened beside TensorRT. Never closed.
#[derive(Debug)]
pub struct Further(std::mem::ManuallyDrop<Opened>);

impl Further {
    /// Calls `initLibNvInferPlugins` with the process's logger and no name space, if the library has it. `None` if it has not,
    /// else whether it succeeded.
    pub fn register_plugins(&self, library: &Library) -> Option<bool> {
        type Register = unsafe extern "C" fn(*mut c_void, *const std::ffi::c_char) -> bool;
        // SAFETY: in every version the function of that name has this type.
        let register = unsafe { self.0.get::<Register>(c"initLibNvInferPlugins") }.ok()?;
        // SAFETY: the logger is of the library's layout, and the plugins' library is of the same version.
        Some(unsafe { register(logger::logger(library.layout()), c"".as_ptr()) })
    }

    /// Whether it has a function of that name.
    pub(crate) fn function<F: Copy>(&self, name: &std::ffi::CStr) -> Option<F> {
        // SAFETY: callers name the type that the function has in every version.
        unsafe { self.0.get::<F>(name) }.ok().map(|function| *function)
    }
}

impl Inner {
    fn of(path: &Path, opened: Opened) -> Result<Inner, String> {
        let is_missing = |name: &str| format!("it has no function '{name}'");
        // SAFETY: in every version the function of that name has this type.
        let number = unsafe { opened.get::<unsafe extern "C" fn() -> c_int>(c"getInferLibVersion") };
        let number = number.map_err(|_| is_missing("getInferLibVersion"))?;
        // SAFETY: it takes nothing and only returns a constant.
        let version = Version::of_number(unsafe { number() });
        // Both products have the same functions; TensorRT's versions began where those of RTX have not got to yet.
        let product = if version.major < 5 { Product::TensorRtRtx } else { Product::TensorRt };
        let layout = Layout::of(product, version).ok_or_else(|| {
            format!("it is {product} {version}, expected is version {}", Layout::known(product))
        })?;
        // SAFETY: in every version the functions of these names have this type.
        let factory = |name| unsafe { opened.get::<Factory>(name) }.ok().map(|function| *function);
        let create_runtime = factory(c"createInferRuntime_INTERNAL")
            .ok_or_else(|| is_missing("createInferRuntime_INTERNAL"))?;
        let create_builder = factory(c"createInferBuilder_INTERNAL");
        // It is never closed.
        std::mem::forget(opened);
        Ok(Inner { path: path.to_owned(), product, version, layout, create_runtime, create_builder })
    }
}

fn open(path: &Path, scope: c_int) -> Result<Opened, String> {
    hippocamp_engine_library::fault(path).map_or(Ok(()), Err)?;
    // SAFETY: whoever configured the library vouches for what it does when it is opened.
    unsafe { Opened::open(Some(path), RTLD_NOW | scope) }.map_err(|fault| match fault {
        libloading::Error::DlOpen { source } => source.to_string(),
        fault => fault.to_string(),
    })
}
