//! What reads ONNX into a network.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

use super::Network;
use crate::engine::text;
use crate::library::{Further, Library, OpenError};
use crate::logger::logger;
use crate::object::{Owned, call, place};
use crate::slots::{parser as slot, parser_error};
use crate::{Layout, capture};

type Create = unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> *mut c_void;

/// The library that reads ONNX: `libnvonnxparser`, or `libtensorrt_onnxparser_rtx`, of the version of the builder's library.
#[derive(Debug)]
pub struct ParserLibrary {
    version: i32,
    create: Create,
    _opened: Further,
}

impl ParserLibrary {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened, or does not read ONNX.
    pub fn open(path: &Path) -> Result<ParserLibrary, OpenError> {
        let opened = Library::open_further(path)?;
        let version = opened.function::<unsafe extern "C" fn() -> c_int>(c"getNvOnnxParserVersion");
        let create = opened.function::<Create>(c"createNvOnnxParser_INTERNAL");
        let (Some(version), Some(create)) = (version, create) else {
            return Err(OpenError::new(path, "it has no function 'createNvOnnxParser_INTERNAL'"));
        };
        // SAFETY: it takes nothing and only returns a constant.
        let version = unsafe { version() };
        Ok(ParserLibrary { version, create, _opened: opened })
    }

    /// Reads a model into an empty network. `path` is where weights beside the model are looked for.
    ///
    /// # Errors
    /// What the model has that the library does not read.
    pub fn parse(&self, network: &mut Network, model: &[u8], path: &Path) -> Result<(), String> {
        let library = network.object().library();
        let layout = library.layout;
        let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())?;
        let (parsed, messages) = capture(|| {
            // SAFETY: the function takes a network, a logger of its layout and the version of the parser, and returns a parser that
            // is the caller's, or null; its deleting destructor follows its eight or six methods and the other destructor.
            let parser = unsafe {
                let parser = (self.create)(network.as_ptr(), logger(layout), self.version);
                let delete = if layout == Layout::V10 { 9 } else { 7 };
                Owned::deleted_by(parser, delete, library)
            };
            let parser = parser.ok_or("the parser cannot be made")?;
            // SAFETY: the method takes bytes, which it does not keep, and a path, and returns a bool.
            let is_read = unsafe {
                call!(
                    parser.as_ptr(), layout, slot::PARSE,
                    (model.as_ptr().cast() => *const c_void, model.len() => usize, path.as_ptr() => *const c_char) -> bool
                )
            };
            if is_read { Ok(parser) } else { Err(faults(&parser, layout)) }
        });
        let parser = parsed.map_err(|fault: String| {
            let logged: Vec<String> = messages.into_iter().map(|message| message.text).collect();
            if fault.is_empty() { logged.join("; ") } else { fault }
        })?;
        network.keep(parser);
        if network.outputs().is_empty() {
            Err("it is no ONNX model, or has no outputs".to_owned())
        } else {
            Ok(())
        }
    }
}

/// What the parser says it could not read.
fn faults(parser: &Owned, layout: Layout) -> String {
    debug_assert!(place(&slot::GET_ERROR, layout) > 0);
    // SAFETY: the method takes nothing and returns a number.
    let count = unsafe { call!(parser.as_ptr(), layout, slot::GET_NB_ERRORS, () -> c_int) };
    let fault = |index: c_int| {
        // SAFETY: the method takes an index and returns a fault of the parser's, or null, whose methods take nothing and return
        // numbers and texts.
        unsafe {
            let error = call!(parser.as_ptr(), layout, slot::GET_ERROR, (index => c_int) -> *mut c_void);
            let error = NonNull::new(error)?.as_ptr();
            let of = |slot| text(call!(error, layout, slot, () -> *const c_char)).unwrap_or_default();
            let node = call!(error, layout, parser_error::NODE, () -> c_int);
            let text = of(parser_error::DESC);
            Some(match (of(parser_error::NODE_NAME), of(parser_error::NODE_OPERATOR)) {
                (_, operator) if operator.is_empty() => text,
                (name, operator) => format!("node {node} '{name}' ({operator}): {text}"),
            })
        }
    };
    let faults: Vec<String> = (0..count.max(0)).filter_map(fault).collect();
    faults.join("; ")
}
