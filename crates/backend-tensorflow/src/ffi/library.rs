//! Opens the library, and checks that it is TensorFlow of a version that can be used.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::path::Path;

use prost::Message;

use super::api::Api;
use super::printed;
use super::status::Status;
use crate::messages::{KernelList, OpList};

/// The oldest minor version of TensorFlow 2 that is taken.
const OLDEST_MINOR: u32 = 13;

/// The devices whose kernels the CPU cannot run.
const GPU: &str = "GPU";

/// TensorFlow, opened for good: the library cannot be unloaded.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) api: Api,
    pub(crate) version: String,
    /// The operations that keep something from one run to the next, or act on something outside of the graph.
    pub(crate) stateful: BTreeSet<String>,
}

impl Library {
    /// Opens it; otherwise the reason, as the end of a sentence.
    pub(crate) fn open(path: &Path) -> Result<Library, String> {
        // Kept open, also if it is of no use: it registers functions that run when the process ends.
        let library = ManuallyDrop::new(hippocamp_engine_library::open(path)?);
        // SAFETY: in every version of TensorFlow the symbol of this name has this type.
        let version = unsafe { library.get::<unsafe extern "C" fn() -> *const i8>(c"TF_Version") };
        let version = version.map_err(|_| "it is not TensorFlow: it has no 'TF_Version'")?;
        // SAFETY: takes no argument and returns a string that lives as long as the library is open.
        let version = unsafe { version() };
        if version.is_null() {
            return Err("it does not say its version".to_owned());
        }
        // SAFETY: checked for null above; the text ends with a null byte.
        let version = unsafe { CStr::from_ptr(version.cast()) }.to_string_lossy().into_owned();
        let minor = version.strip_prefix("2.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if minor.is_none_or(|minor| minor < OLDEST_MINOR) {
            return Err(format!("it is version {version}"));
        }
        let api = Api::of(&library).map_err(|name| format!("it is version {version}, without '{name}'"))?;
        let stateful = stateful(&api).map_err(|why| format!("it is version {version}, {why}"))?;
        printed::listen(&api);
        Ok(Library { api, version, stateful })
    }

    /// Whether an operation has a kernel for the CPU. It has one, too, where the library does not say.
    pub(crate) fn has_kernel(&self, operation: &str) -> bool {
        let Ok(name) = CString::new(operation) else { return true };
        let status = Status::new(self);
        // SAFETY: the name and the status are live during the call; the buffer is owned, and released behind the last read of it.
        let list = unsafe {
            let buffer = (self.api.TF_GetRegisteredKernelsForOp)(name.as_ptr(), status.as_ptr());
            if buffer.is_null() {
                return true;
            }
            let data = (*buffer).data.cast::<u8>();
            let content =
                if data.is_null() { &[] } else { std::slice::from_raw_parts(data, (*buffer).length) };
            let list = KernelList::decode(content);
            (self.api.TF_DeleteBuffer)(buffer);
            list
        };
        let Ok(list) = list else { return true };
        status.outcome().is_err() || list.kernels.iter().any(|kernel| kernel.device_type != GPU)
    }
}

/// The names of the library's stateful operations.
fn stateful(api: &Api) -> Result<BTreeSet<String>, &'static str> {
    // SAFETY: takes no argument; the buffer is released below and not read after that.
    let list = unsafe {
        let buffer = (api.TF_GetAllOpList)();
        if buffer.is_null() {
            return Err("without a list of operations");
        }
        let list = OpList::decode(std::slice::from_raw_parts((*buffer).data.cast::<u8>(), (*buffer).length));
        (api.TF_DeleteBuffer)(buffer);
        list.map_err(|_| "whose list of operations cannot be read")?
    };
    Ok(list.operations.into_iter().filter(|each| each.is_stateful).map(|each| each.name).collect())
}
