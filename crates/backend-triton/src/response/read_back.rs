//! Reading back what a response has.

use std::ffi::c_char;

use hippocamp_backend::Result;

use super::ResponseObject;
use super::response_object::Output;
use crate::border::{Out, Ref, Returned, Text, address, call, data_type_number, misuse};

fn write(output: &Output, data_type: Out<u32>, shape: Out<*const i64>, dims: Out<u64>) -> Result<()> {
    data_type.set("datatype", data_type_number(output.data_type))?;
    shape.set("shape", output.shape.as_ptr())?;
    dims.set("dims_count", output.shape.len() as u64)
}

pub(crate) extern "C" fn output(
    response: Ref<ResponseObject>,
    index: u32,
    name: Out<*const c_char>,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u64>,
) -> Returned {
    call("TRITONBACKEND_InferenceResponseOutput", || {
        let response = response.get()?;
        let content = response.content.lock();
        let count = content.outputs.len();
        let output = content.outputs.get(index as usize);
        let output = output.ok_or_else(|| {
            misuse(format!("out of bounds index {index}: the response has {count} outputs"))
        })?;
        name.set("name", address(&response.channel.names.outputs[output.index]))?;
        write(output, data_type, shape, dims)
    })
}

pub(crate) extern "C" fn output_by_name(
    response: Ref<ResponseObject>,
    name: Text,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u64>,
) -> Returned {
    call("TRITONBACKEND_InferenceResponseOutputByName", || {
        let response = response.get()?;
        let name = name.read("name")?;
        let specs = &response.channel.names.interface.outputs;
        let content = response.content.lock();
        let output = content.outputs.iter().find(|output| *specs[output.index].name == *name);
        let output = output.ok_or_else(|| misuse(format!("the response has no output '{name}'")))?;
        write(output, data_type, shape, dims)
    })
}
