//! What a plan is made from.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

use super::Builder;
use crate::engine::text;
use crate::object::{Owned, call, implementation};
use crate::slots::{network as slot, tensor};
use crate::{DataType, Dims, Layout};

/// A network, into which a parser reads a model. Dropped before its builder.
#[derive(Debug)]
pub struct Network {
    object: Owned,
    /// What has read models into it, and owns the weights that it refers to until it is built.
    parsers: Vec<Owned>,
    _builder: Builder,
}

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTensor {
    /// The name, as in the model.
    pub name: String,
    /// The shape; -1 for what varies.
    pub dims: Vec<i64>,
    /// The type of the elements, or the library's number of one that is not known.
    pub data_type: Result<DataType, i32>,
    /// Whether the values decide on shapes.
    pub is_shape_tensor: bool,
}

impl Network {
    pub(crate) fn new(object: Owned, builder: Builder) -> Network {
        Network { object, parsers: Vec::new(), _builder: builder }
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    pub(crate) fn keep(&mut self, parser: Owned) {
        self.parsers.push(parser);
    }

    pub(crate) fn object(&self) -> &Owned {
        &self.object
    }

    /// The inputs, in the model's order.
    pub fn inputs(&self) -> Vec<NetworkTensor> {
        self.tensors(&slot::GET_NB_INPUTS, &slot::GET_INPUT)
    }

    /// The outputs, in the model's order.
    pub fn outputs(&self) -> Vec<NetworkTensor> {
        self.tensors(&slot::GET_NB_OUTPUTS, &slot::GET_OUTPUT)
    }

    fn tensors(&self, count: &crate::slots::Slot, get: &crate::slots::Slot) -> Vec<NetworkTensor> {
        let object = &self.object;
        // SAFETY: the method takes nothing and returns a number.
        let count = unsafe { call!(object.implementation(), object.layout(), *count, () -> i32) };
        let tensor = |index| {
            // SAFETY: the method takes an index and returns a tensor of the network's, or null.
            let tensor = unsafe {
                call!(object.implementation(), object.layout(), *get, (index => i32) -> *mut c_void)
            };
            // SAFETY: the tensor is the network's, which lives.
            NonNull::new(tensor).map(|tensor| unsafe { described(tensor, object.layout()) })
        };
        (0..count.max(0)).filter_map(tensor).collect()
    }
}

/// # Safety
/// The tensor is alive and of a library of that layout.
unsafe fn described(object: NonNull<c_void>, layout: Layout) -> NetworkTensor {
    // SAFETY: tensors are of a public class, and the methods are of these types.
    unsafe {
        let object = implementation(object.as_ptr());
        let name = text(call!(object, layout, tensor::GET_NAME, () -> *const c_char));
        let dims = call!(object, layout, tensor::GET_DIMENSIONS, () -> Dims);
        let data_type = call!(object, layout, tensor::GET_TYPE, () -> i32);
        NetworkTensor {
            name: name.unwrap_or_default(),
            dims: dims.get().unwrap_or_default().to_vec(),
            data_type: DataType::of_number(data_type).ok_or(data_type),
            is_shape_tensor: call!(object, layout, tensor::IS_SHAPE_TENSOR, () -> bool),
        }
    }
}
