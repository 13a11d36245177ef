//! Opens the library and the shim, and checks that they fit each other and this crate.

use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::path::Path;

use super::api::{self, Api, INTERFACE};
use super::listener::told;
use super::memory::OF_THIS_PROGRAM;
use crate::error::Fault;
use crate::options;

/// PyTorch behind the shim, opened for good: the library cannot be unloaded.
#[derive(Debug)]
pub(crate) struct Library {
    pub(super) api: Api,
    pub(super) key: Option<api::Key>,
    pub(crate) version: String,
}

/// The symbol that tells PyTorch from other libraries.
const OF_PYTORCH: &CStr = c"aoti_torch_abi_version";
/// The symbol that is never given another type.
const OF_SHIM: &CStr = c"hippocamp_torch_interface";

impl Library {
    /// Opens both; otherwise the reason, as the end of a sentence. Symbols are resolved when they are first used: the library
    /// refers to functions of NVIDIA's that a machine without a GPU does not have, and does not call.
    pub(crate) fn open(library: &Path, shim: &Path) -> Result<Library, String> {
        let shown = shim.display();
        // Both files are looked at before the larger one is opened for good.
        if let Some(fault) = hippocamp_engine_library::fault(library) {
            return Err(fault);
        }
        if let Some(fault) = hippocamp_engine_library::fault(shim) {
            return Err(format!("the shim '{shown}' cannot be opened: {fault}"));
        }
        // Kept open, also if they are of no use: they register functions that run when the process ends.
        let library = ManuallyDrop::new(hippocamp_engine_library::open_lazily(library)?);
        // SAFETY: the symbol is looked up and not used.
        if unsafe { library.get::<unsafe extern "C" fn() -> u64>(OF_PYTORCH) }.is_err() {
            return Err("it is not PyTorch, or too old: it has no 'aoti_torch_abi_version'".to_owned());
        }
        // The loader finds the shim's own need of the library by its name, as it is there already.
        let shim = hippocamp_engine_library::open_lazily(shim)
            .map_err(|why| format!("the shim '{shown}' cannot be opened: {why}"))?;
        let shim = ManuallyDrop::new(shim);
        // SAFETY: in every version of the shim the symbol of this name has this type.
        let interface = unsafe { shim.get::<unsafe extern "C" fn() -> u32>(OF_SHIM) };
        let interface =
            interface.map_err(|_| format!("'{shown}' is no shim: it has no 'hippocamp_torch_interface'"))?;
        // SAFETY: takes no argument.
        let interface = unsafe { interface() };
        if interface != INTERFACE {
            return Err(format!(
                "the shim '{shown}' has version {interface} of its interface, expected {INTERFACE}: build it anew"
            ));
        }
        let api = Api::of(&shim).map_err(|name| format!("the shim '{shown}' has no '{name}'"))?;
        // SAFETY: where the shim has a function of this name, it has this type.
        let key = unsafe { shim.get::<api::Key>(api::KEY) }.ok().map(|key| *key);
        // SAFETY: the functions take no argument; the text lives as long as the shim.
        let (version, built, found) = unsafe {
            let version = CStr::from_ptr((api.built_for)()).to_string_lossy().into_owned();
            (version, (api.built_for_abi)(), (api.library_abi)())
        };
        if built != found {
            let [major, minor, patch, ..] = found.to_be_bytes();
            return Err(format!(
                "it is version {major}.{minor}.{patch}, and the shim '{shown}' was built for {version}: build it anew for that \
                 one (scripts/torch-shim --torch FOLDER)"
            ));
        }
        // SAFETY: the listener is a function of this program, which is never unloaded.
        unsafe { (api.listen)(told) };
        let library = Library { api, key, version };
        library.use_memory()?;
        Ok(library)
    }

    /// Has tensors use the memory of this program.
    fn use_memory(&self) -> Result<(), String> {
        let mut fault = std::ptr::null_mut();
        // SAFETY: the pointer is live during the call. The functions are those of this program, which is never unloaded.
        let code = unsafe { (self.api.use_memory)(OF_THIS_PROGRAM, &raw mut fault) };
        // SAFETY: the text is that of this call.
        unsafe { self.outcome(code, fault) }.map_err(|fault| fault.message)
    }

    /// Sets the number of threads for parts of models that run at the same time. It can be set once; otherwise the reason.
    pub(crate) fn set_interop_threads(&self, count: usize) -> Result<(), String> {
        let mut fault = std::ptr::null_mut();
        // SAFETY: the pointer is live during the call.
        let code = unsafe { (self.api.set_interop_threads)(count as i32, &raw mut fault) };
        // SAFETY: the text is that of this call.
        unsafe { self.outcome(code, fault) }.map_err(|fault| fault.message)
    }

    /// Sets switches for all models of the process.
    pub(crate) fn set_switches(&self, switches: options::Switches) -> Result<(), Fault> {
        let number = |switch: Option<bool>| switch.map_or(-1, i8::from);
        let switches = api::Switches {
            profiling: number(switches.profiling),
            executor: number(switches.executor),
            tensor_fuser: number(switches.tensor_fuser),
        };
        let mut fault = std::ptr::null_mut();
        // SAFETY: the pointer is live during the call.
        let code = unsafe { (self.api.set_switches)(switches, &raw mut fault) };
        // SAFETY: the text is that of this call.
        unsafe { self.outcome(code, fault) }
    }

    /// The outcome of a call, whose text is released.
    ///
    /// # Safety
    /// `text` is null, or a text of the shim that nobody else releases.
    pub(super) unsafe fn outcome(&self, code: i32, text: *mut c_char) -> Result<(), Fault> {
        if code == api::OK {
            return Ok(());
        }
        let message = if text.is_null() {
            "it does not say why".into()
        } else {
            // SAFETY: the caller promises a text, which ends with a null byte.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        // SAFETY: null, or owned by the caller, who does not use it any more.
        unsafe { (self.api.free_text)(text) };
        Err(Fault::new(code == api::NO_MEMORY, &message))
    }
}
