//! A graph in the library.

use std::ffi::CString;
use std::ptr::NonNull;

use super::api::{self, Buffer, Output};
use super::library::Library;
use super::status::Status;
use crate::error::{Fault, code};

/// A graph, to which nothing is added once it is imported.
#[derive(Debug)]
pub(crate) struct Graph {
    library: &'static Library,
    raw: NonNull<api::Graph>,
}

// SAFETY: a graph is not bound to a thread, and the library locks it where a call needs that.
unsafe impl Send for Graph {}
// SAFETY: see above.
unsafe impl Sync for Graph {}

impl Graph {
    pub(super) fn new(library: &'static Library) -> Graph {
        // SAFETY: takes no argument; the result is owned.
        let raw = unsafe { (library.api.TF_NewGraph)() };
        // The library ends the process when it has no memory for so little.
        Graph { library, raw: NonNull::new(raw).unwrap_or_else(|| std::process::abort()) }
    }

    /// The graph of a file's content.
    pub(crate) fn import(library: &'static Library, content: &[u8]) -> Result<Graph, Fault> {
        let graph = Graph::new(library);
        let status = Status::new(library);
        let buffer = borrowed(content);
        // SAFETY: graph, options and status are live; the buffer is read during the call only.
        unsafe {
            let options = (library.api.TF_NewImportGraphDefOptions)();
            (library.api.TF_GraphImportGraphDef)(graph.as_ptr(), &raw const buffer, options, status.as_ptr());
            (library.api.TF_DeleteImportGraphDefOptions)(options);
        }
        status.outcome().map(|()| graph)
    }

    pub(super) fn as_ptr(&self) -> *mut api::Graph {
        self.raw.as_ptr()
    }

    /// The tensor of that name: `node`, or `node:1` for a result that is not the first.
    pub(crate) fn tensor(&self, name: &str) -> Option<Output> {
        let (node, index) = split_name(name);
        let operation = self.operation(node)?;
        // SAFETY: the operation belongs to the graph.
        let count = unsafe { (self.library.api.TF_OperationNumOutputs)(operation) };
        (index < count).then_some(Output { operation, index })
    }

    /// The node of that name.
    pub(crate) fn operation(&self, name: &str) -> Option<*mut api::Operation> {
        let name = CString::new(name).ok()?;
        // SAFETY: the graph is live; the name is read during the call only.
        let operation = unsafe { (self.library.api.TF_GraphOperationByName)(self.as_ptr(), name.as_ptr()) };
        (!operation.is_null()).then_some(operation)
    }

    /// The number of a tensor's element type.
    pub(crate) fn element_type(&self, tensor: Output) -> i32 {
        // SAFETY: the tensor is of this graph: see `tensor`.
        unsafe { (self.library.api.TF_OperationOutputType)(tensor) }
    }

    /// The shape of a tensor as far as the graph says it: -1 is a free size, `None` an unknown rank.
    pub(crate) fn shape(&self, tensor: Output) -> Result<Option<Vec<i64>>, Fault> {
        let (api, status) = (&self.library.api, Status::new(self.library));
        // SAFETY: the tensor is of this graph; there is room for as many dimensions as the graph says.
        unsafe {
            let rank = (api.TF_GraphGetTensorNumDims)(self.as_ptr(), tensor, status.as_ptr());
            status.outcome()?;
            let Ok(size) = usize::try_from(rank) else { return Ok(None) };
            let mut dims = vec![0; size];
            (api.TF_GraphGetTensorShape)(self.as_ptr(), tensor, dims.as_mut_ptr(), rank, status.as_ptr());
            status.outcome()?;
            Ok(Some(dims))
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the graph is live and owned; a session of it is dropped before.
        unsafe { (self.library.api.TF_DeleteGraph)(self.as_ptr()) };
    }
}

/// A buffer that the library reads during a call.
pub(super) fn borrowed(content: &[u8]) -> Buffer {
    Buffer { data: content.as_ptr().cast(), length: content.len(), deallocator: None }
}

/// The node and the number of the result.
pub(crate) fn split_name(name: &str) -> (&str, i32) {
    let indexed = name.rsplit_once(':').and_then(|(node, index)| Some((node, index.parse::<u16>().ok()?)));
    indexed.map_or((name, 0), |(node, index)| (node, index.into()))
}

/// The fault of a text that the library cannot be given.
#[cold]
pub(super) fn null_byte(what: &str) -> Fault {
    Fault::new(code::INVALID_ARGUMENT, &format!("{what} has a null byte"))
}
