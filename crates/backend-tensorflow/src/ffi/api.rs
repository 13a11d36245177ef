//! The functions of the C interface that are used, with their types.

use std::ffi::{CString, c_char, c_int, c_void};

use libloading::os::unix::Library;

/// Declares objects that are known by their address only.
macro_rules! opaque {
    ($($name:ident)+) => {
        $(
            #[derive(Debug)]
            #[repr(C)]
            pub(crate) struct $name([u8; 0]);
        )+
    };
}

opaque! { Graph ImportOptions Operation Session SessionOptions Status Tensor }

/// A block of bytes. Given to the library, it stays the caller's.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
    pub(crate) deallocator: Option<unsafe extern "C" fn(*mut c_void, usize)>,
}

/// One result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Output {
    pub(crate) operation: *mut Operation,
    pub(crate) index: c_int,
}

// SAFETY: an address that nothing but the library looks behind, and that it takes from any thread while the graph lives.
unsafe impl Send for Output {}
// SAFETY: see above.
unsafe impl Sync for Output {}

/// An element of a string tensor: 24 bytes, which the library alone reads and writes. All zeros are an empty string.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Text([u8; 24]);

pub(crate) type Deallocator = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);
pub(crate) type Listener = extern "C" fn(*const c_char);

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)+) => {
        /// The functions by their names in the library.
        #[allow(non_snake_case, reason = "the library's own names")]
        #[derive(Debug)]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)+
        }

        impl Api {
            /// Finds every function; otherwise the name of one that is missing.
            pub(super) fn of(library: &Library) -> Result<Api, &'static str> {
                Ok(Api {
                    $($name: {
                        let name = CString::new(stringify!($name)).map_err(|_| stringify!($name))?;
                        // SAFETY: a function of this name has had this type since version 2.4, the oldest that has them
                        // all.
                        *unsafe { library.get(name.as_c_str()) }.map_err(|_| stringify!($name))?
                    },)+
                })
            }
        }
    };
}

functions! {
    TF_GetAllOpList() -> *mut Buffer;
    TF_GetRegisteredKernelsForOp(*const c_char, *mut Status) -> *mut Buffer;
    TF_RegisterLogListener(Listener);
    TF_NewBuffer() -> *mut Buffer;
    TF_DeleteBuffer(*mut Buffer);

    TF_NewStatus() -> *mut Status;
    TF_DeleteStatus(*mut Status);
    TF_GetCode(*const Status) -> c_int;
    TF_Message(*const Status) -> *const c_char;

    TF_NewGraph() -> *mut Graph;
    TF_DeleteGraph(*mut Graph);
    TF_NewImportGraphDefOptions() -> *mut ImportOptions;
    TF_DeleteImportGraphDefOptions(*mut ImportOptions);
    TF_GraphImportGraphDef(*mut Graph, *const Buffer, *const ImportOptions, *mut Status);
    TF_GraphOperationByName(*mut Graph, *const c_char) -> *mut Operation;
    TF_OperationNumOutputs(*mut Operation) -> c_int;
    TF_OperationOutputType(Output) -> c_int;
    TF_GraphGetTensorNumDims(*mut Graph, Output, *mut Status) -> c_int;
    TF_GraphGetTensorShape(*mut Graph, Output, *mut i64, c_int, *mut Status);

    TF_NewSessionOptions() -> *mut SessionOptions;
    TF_DeleteSessionOptions(*mut SessionOptions);
    TF_SetConfig(*mut SessionOptions, *const c_void, usize, *mut Status);
    TF_NewSession(*mut Graph, *const SessionOptions, *mut Status) -> *mut Session;
    TF_LoadSessionFromSavedModel(
        *const SessionOptions, *const Buffer, *const c_char, *const *const c_char, c_int, *mut Graph, *mut Buffer, *mut Status
    ) -> *mut Session;
    TF_CloseSession(*mut Session, *mut Status);
    TF_DeleteSession(*mut Session, *mut Status);
    TF_SessionRun(
        *mut Session, *const Buffer, *const Output, *const *mut Tensor, c_int, *const Output, *mut *mut Tensor, c_int,
        *const *const Operation, c_int, *mut Buffer, *mut Status
    );

    TF_NewTensor(c_int, *const i64, c_int, *mut c_void, usize, Deallocator, *mut c_void) -> *mut Tensor;
    TF_AllocateTensor(c_int, *const i64, c_int, usize) -> *mut Tensor;
    TF_DeleteTensor(*mut Tensor);
    TF_TensorType(*const Tensor) -> c_int;
    TF_NumDims(*const Tensor) -> c_int;
    TF_Dim(*const Tensor, c_int) -> i64;
    TF_TensorByteSize(*const Tensor) -> usize;
    TF_TensorData(*const Tensor) -> *mut c_void;

    TF_StringAssignView(*mut Text, *const c_char, usize);
    TF_StringCopy(*mut Text, *const c_char, usize);
    TF_StringDealloc(*mut Text);
    TF_StringGetDataPointer(*const Text) -> *const c_char;
    TF_StringGetSize(*const Text) -> usize;
}

const _: () = assert!(size_of::<Text>() == 24);
