//! Responses to requests that backends made.

use crate::border::{Returned, unsupported};

pub(crate) extern "C" fn error() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseError")
}

pub(crate) extern "C" fn output_count() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseOutputCount")
}

pub(crate) extern "C" fn output() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseOutput")
}

pub(crate) extern "C" fn parameter_count() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseParameterCount")
}

pub(crate) extern "C" fn parameter() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseParameter")
}

pub(crate) extern "C" fn delete() -> Returned {
    unsupported("TRITONSERVER_InferenceResponseDelete")
}
