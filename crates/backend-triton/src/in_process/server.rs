//! What a backend asks of the server in whose process it is: readiness, inference, loads and unloads.

use crate::border::{Returned, unsupported};

pub(crate) extern "C" fn model_is_ready() -> Returned {
    unsupported("TRITONSERVER_ServerModelIsReady")
}

pub(crate) extern "C" fn model_transaction_properties() -> Returned {
    unsupported("TRITONSERVER_ServerModelTransactionProperties")
}

pub(crate) extern "C" fn infer_async() -> Returned {
    unsupported("TRITONSERVER_ServerInferAsync")
}

pub(crate) extern "C" fn load_model_with_parameters() -> Returned {
    unsupported("TRITONSERVER_ServerLoadModelWithParameters")
}

pub(crate) extern "C" fn unload_model() -> Returned {
    unsupported("TRITONSERVER_ServerUnloadModel")
}

pub(crate) extern "C" fn unload_model_and_dependents() -> Returned {
    unsupported("TRITONSERVER_ServerUnloadModelAndDependents")
}
