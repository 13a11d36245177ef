//! A loaded model.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use super::api::{self, kind};
use super::library::Library;
use super::outputs::Outputs;
use crate::error::Fault;
use crate::values::Value;

/// A model of the library.
#[derive(Debug)]
pub(crate) struct Module {
    library: &'static Library,
    raw: NonNull<api::Model>,
    pub(crate) facts: Facts,
}

// SAFETY: a model is not bound to a thread.
unsafe impl Send for Module {}
// SAFETY: runs at the same time are independent of each other, unless the model keeps something: `run` says so.
unsafe impl Sync for Module {}

/// What a model's code tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) arguments: Vec<Port>,
    /// As far as they are known; parts of tuples are results of their own.
    pub(crate) results: Vec<Port>,
    /// The number of results is only known after a run.
    pub(crate) results_vary: bool,
    /// Why runs depend on earlier ones.
    pub(crate) keeper: Option<String>,
    /// It may read inputs after a run.
    pub(crate) reads_later: bool,
    pub(crate) is_training: bool,
    /// The entries of the dictionary that is its one argument without which each run fails.
    pub(crate) required_keys: Vec<String>,
    /// The entries that the dictionary which it gives can have; empty if that is not known.
    pub(crate) result_keys: Vec<String>,
}

/// An argument or a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Port {
    /// Of a result: its field in a named tuple.
    pub(crate) name: Option<String>,
    /// In PyTorch's words.
    pub(crate) type_name: String,
    pub(crate) kind: i32,
    pub(crate) has_default: bool,
    /// The model may write to it.
    pub(crate) is_written: bool,
}

/// How a run is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSettings {
    /// Threads within an operation.
    pub(crate) threads: usize,
    pub(crate) inference_mode: bool,
    pub(crate) optimized: bool,
}

impl Module {
    /// Loads a file. Not in inference mode, whatever runs are in: as a program in Python does, which loads a model and then asks it in
    /// that mode. In it weights would be tensors of another kind, for which PyTorch multiplies in another order, so that last bits differ.
    pub(crate) fn load(library: &'static Library, path: &Path) -> Result<Module, Fault> {
        let path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Fault::new(false, "its path has a null byte"))?;
        let (mut raw, mut fault) = (null_mut(), null_mut());
        // SAFETY: all pointers are live during the call.
        let code = unsafe { (library.api.load)(path.as_ptr(), 0, &raw mut raw, &raw mut fault) };
        // SAFETY: the text is that of this call.
        unsafe { library.outcome(code, fault) }?;
        let raw = NonNull::new(raw).ok_or_else(|| Fault::new(false, "a load gave no model"))?;
        let mut module = Module { library, raw, facts: Facts::default() };
        module.facts = module.describe();
        Ok(module)
    }

    fn describe(&self) -> Facts {
        let (api, raw) = (&self.library.api, self.raw.as_ptr());
        // SAFETY: the model is live, and indices are below the counts. Texts belong to it, and are copied here.
        unsafe {
            let facts = (api.describe)(raw);
            Facts {
                arguments: (0..facts.argument_count).map(|index| port((api.argument)(raw, index))).collect(),
                results: (0..facts.result_count).map(|index| port((api.result_port)(raw, index))).collect(),
                results_vary: facts.results_vary != 0,
                keeper: text(facts.keeper),
                reads_later: facts.reads_later != 0,
                is_training: facts.is_training != 0,
                required_keys: self.keys(false),
                result_keys: self.keys(true),
            }
        }
    }

    /// The keys of the dictionary that it takes or gives, as far as the code tells them.
    fn keys(&self, of_results: bool) -> Vec<String> {
        let Some(key) = self.library.key else { return Vec::new() };
        // SAFETY: the model is live; a text belongs to it, and is copied here.
        let each = (0..).map_while(|index| unsafe { text(key(self.raw.as_ptr(), of_results.into(), index)) });
        each.collect()
    }

    /// Whether its one argument is a dictionary, whose entries are the inputs.
    pub(crate) fn takes_dictionary(&self) -> bool {
        self.facts.takes_dictionary()
    }

    /// Runs it: with a value for each argument, or with the entries of the dictionary that it takes. A model that keeps something
    /// must not be run by two threads at the same time.
    pub(crate) fn run(&self, settings: RunSettings, values: &[Value<'_>]) -> Result<Outputs, Fault> {
        let options = api::RunOptions {
            threads: settings.threads as i32,
            inference_mode: settings.inference_mode.into(),
            optimized: settings.optimized.into(),
            as_dictionary: self.takes_dictionary().into(),
        };
        let (mut raw, mut fault) = (null_mut(), null_mut());
        // SAFETY: model and options are live. A value is that structure, and borrows what its pointers point to: it stays until this
        // has returned. What the model still refers to then has been given memory of its own.
        let code = unsafe {
            (self.library.api.run)(
                self.raw.as_ptr(),
                &raw const options,
                values.as_ptr().cast(),
                values.len(),
                &raw mut raw,
                &raw mut fault,
            )
        };
        // SAFETY: the text is that of this call.
        unsafe { self.library.outcome(code, fault) }?;
        // SAFETY: the outputs are those of this call, and owned.
        unsafe { Outputs::from_raw(self.library, raw) }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the model is live and owned.
        unsafe { (self.library.api.free_model)(self.raw.as_ptr()) };
    }
}

impl Facts {
    pub(crate) fn takes_dictionary(&self) -> bool {
        matches!(self.arguments.as_slice(), [only] if only.kind == kind::TENSOR_DICT)
    }
}

/// # Safety
/// The texts are null or live.
unsafe fn port(port: api::Port) -> Port {
    // SAFETY: the caller promises it.
    let (name, type_name) = unsafe { (text(port.name), text(port.type_name)) };
    Port {
        name,
        type_name: type_name.unwrap_or_default(),
        kind: port.kind,
        has_default: port.has_default != 0,
        is_written: port.is_written != 0,
    }
}

/// # Safety
/// The text is null or live, and ends with a null byte.
pub(super) unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: the caller promises it.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
