//! The least that runs a graph by TensorFlow's C interface, in the words of its documentation: nothing of the backend is in it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

use bytes::Bytes;
use libloading::Library;

type Pointer = *mut c_void;

#[repr(C)]
struct Buffer {
    data: *const u8,
    length: usize,
    deallocator: Pointer,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Output {
    operation: Pointer,
    index: c_int,
}

/// An input.
pub(crate) enum Tensor {
    Floats(Vec<i64>, Bytes),
    /// One string in wire form.
    Text(Bytes),
}

/// A session with one input.
pub(crate) struct Bare {
    library: Library,
    session: Pointer,
    input: Output,
    outputs: Vec<Output>,
    options: &'static [u8],
}

// SAFETY: sessions may be run by any number of threads.
unsafe impl Sync for Bare {}

macro_rules! call {
    ($library:expr, $name:literal, ($($value:expr => $type:ty),*) $(-> $result:ty)?) => {{
        type Function = unsafe extern "C" fn($($type),*) $(-> $result)?;
        // SAFETY: the function has this type in the library, and each argument is live during the call.
        unsafe {
            let function: libloading::Symbol<'_, Function> = $library.get($name).unwrap();
            function($($value),*)
        }
    }};
}

unsafe extern "C" fn leave(_: Pointer, _: usize, _: Pointer) {}

impl Bare {
    pub(crate) fn new(
        path: &Path,
        graph_def: &[u8],
        config: &[u8],
        options: &'static [u8],
        input: &str,
        outputs: &[&str],
    ) -> Bare {
        // SAFETY: it is TensorFlow.
        let library = unsafe { Library::new(path) }.unwrap();
        let status = call!(library, "TF_NewStatus", () -> Pointer);
        let graph = call!(library, "TF_NewGraph", () -> Pointer);
        let import = call!(library, "TF_NewImportGraphDefOptions", () -> Pointer);
        let content = Buffer { data: graph_def.as_ptr(), length: graph_def.len(), deallocator: null_mut() };
        call!(
            library,
            "TF_GraphImportGraphDef",
            (graph => Pointer, &raw const content => *const Buffer, import => Pointer, status => Pointer)
        );
        check(&library, status);
        let settings = call!(library, "TF_NewSessionOptions", () -> Pointer);
        call!(
            library,
            "TF_SetConfig",
            (settings => Pointer, config.as_ptr() => *const u8, config.len() => usize, status => Pointer)
        );
        let session = call!(
            library,
            "TF_NewSession",
            (graph => Pointer, settings => Pointer, status => Pointer) -> Pointer
        );
        check(&library, status);
        let place = |name: &str| {
            let name = CString::new(name).unwrap();
            let operation = call!(
                library,
                "TF_GraphOperationByName",
                (graph => Pointer, name.as_ptr() => *const c_char) -> Pointer
            );
            Output { operation, index: 0 }
        };
        let (input, outputs) = (place(input), outputs.iter().map(|name| place(name)).collect());
        Bare { library, session, input, outputs, options }
    }

    pub(crate) fn run(&self, tensor: &Tensor) {
        let library = &self.library;
        let status = call!(library, "TF_NewStatus", () -> Pointer);
        let mut text = [0u64; 8 * 3];
        let given = match tensor {
            Tensor::Floats(shape, data) => {
                new_tensor(library, 1, shape, data.as_ptr().cast_mut().cast(), data.len())
            }
            Tensor::Text(wire) => {
                // Aligned as the library wants it.
                let place = text.as_mut_ptr().map_addr(|address| address.next_multiple_of(64));
                call!(
                    library,
                    "TF_StringAssignView",
                    (place.cast() => Pointer, wire[4..].as_ptr() => *const u8, wire.len() - 4 => usize)
                );
                new_tensor(library, 7, &[1], place.cast(), 24)
            }
        };
        let mut results = vec![null_mut::<c_void>(); self.outputs.len()];
        let options =
            Buffer { data: self.options.as_ptr(), length: self.options.len(), deallocator: null_mut() };
        let options = if self.options.is_empty() { null() } else { &raw const options };
        call!(
            library,
            "TF_SessionRun",
            (
                self.session => Pointer, options => *const Buffer, &raw const self.input => *const Output,
                &raw const given => *const Pointer, 1 => c_int, self.outputs.as_ptr() => *const Output,
                results.as_mut_ptr() => *mut Pointer, results.len() as c_int => c_int, null() => *const Pointer,
                0 => c_int, null_mut() => Pointer, status => Pointer
            )
        );
        check(library, status);
        for tensor in results.into_iter().chain([given]) {
            call!(library, "TF_DeleteTensor", (tensor => Pointer));
        }
        call!(library, "TF_DeleteStatus", (status => Pointer));
    }
}

fn new_tensor(library: &Library, kind: c_int, shape: &[i64], data: Pointer, size: usize) -> Pointer {
    call!(
        library,
        "TF_NewTensor",
        (
            kind => c_int, shape.as_ptr() => *const i64, shape.len() as c_int => c_int, data => Pointer, size => usize,
            leave => unsafe extern "C" fn(Pointer, usize, Pointer), null_mut() => Pointer
        ) -> Pointer
    )
}

fn check(library: &Library, status: Pointer) {
    if call!(library, "TF_GetCode", (status => Pointer) -> c_int) != 0 {
        let text = call!(library, "TF_Message", (status => Pointer) -> *const c_char);
        // SAFETY: the status has a text.
        panic!("{:?}", unsafe { CStr::from_ptr(text) });
    }
}
