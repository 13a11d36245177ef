//! Requests that backends make.

use crate::border::{Returned, unsupported};

pub(crate) extern "C" fn new() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestNew")
}

pub(crate) extern "C" fn delete() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestDelete")
}

pub(crate) extern "C" fn set_id() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetId")
}

pub(crate) extern "C" fn set_flags() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetFlags")
}

pub(crate) extern "C" fn set_correlation_id() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetCorrelationId")
}

pub(crate) extern "C" fn set_correlation_id_string() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetCorrelationIdString")
}

pub(crate) extern "C" fn set_timeout_microseconds() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetTimeoutMicroseconds")
}

pub(crate) extern "C" fn set_string_parameter() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetStringParameter")
}

pub(crate) extern "C" fn set_int_parameter() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetIntParameter")
}

pub(crate) extern "C" fn set_bool_parameter() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetBoolParameter")
}

pub(crate) extern "C" fn add_requested_output() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestAddRequestedOutput")
}

pub(crate) extern "C" fn add_input() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestAddInput")
}

pub(crate) extern "C" fn append_input_data() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestAppendInputData")
}

pub(crate) extern "C" fn set_release_callback() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetReleaseCallback")
}

pub(crate) extern "C" fn set_response_callback() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestSetResponseCallback")
}

pub(crate) extern "C" fn cancel() -> Returned {
    unsupported("TRITONSERVER_InferenceRequestCancel")
}
