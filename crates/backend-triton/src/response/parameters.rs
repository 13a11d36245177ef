//! Parameters of responses.

use hippocamp_backend::{ParameterValue, Result};

use super::ResponseObject;
use crate::border::{Ref, Returned, Text, call};

fn set(response: Ref<ResponseObject>, name: Text, value: ParameterValue) -> Result<()> {
    let response = response.get()?;
    let name = name.read("name")?.to_owned();
    response.content.lock().parameters.set(name, value);
    Ok(())
}

pub(crate) extern "C" fn set_string(response: Ref<ResponseObject>, name: Text, value: Text) -> Returned {
    call("TRITONBACKEND_ResponseSetStringParameter", || {
        let value = value.read("value")?.to_owned();
        set(response, name, ParameterValue::String(value.into()))
    })
}

pub(crate) extern "C" fn set_int(response: Ref<ResponseObject>, name: Text, value: i64) -> Returned {
    call("TRITONBACKEND_ResponseSetIntParameter", || set(response, name, ParameterValue::Int64(value)))
}

pub(crate) extern "C" fn set_bool(response: Ref<ResponseObject>, name: Text, value: u8) -> Returned {
    call("TRITONBACKEND_ResponseSetBoolParameter", || set(response, name, ParameterValue::Bool(value != 0)))
}

pub(crate) extern "C" fn set_double(response: Ref<ResponseObject>, name: Text, value: f64) -> Returned {
    call("TRITONBACKEND_ResponseSetDoubleParameter", || set(response, name, ParameterValue::Double(value)))
}
