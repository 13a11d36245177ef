//! The engine's tensors.

#![allow(unsafe_code, reason = "calls the C interface of ONNX Runtime and reads memory that it owns")]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_batching::Inputs;
use hippocamp_tensor::{BytesElements, DataType, LENGTH_PREFIX, PlacedSlice, Shape, push_element};
use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{Session, SharedSessionInner};
use ort::sys::{ONNXTensorElementDataType, OrtMemoryInfoDeviceType, OrtValue};

use super::outcome;
use crate::element_type::raw;

/// From this size on tensors share the engine's memory instead of being copied. Below it a copy is cheaper than keeping
/// a part of the engine's arena from being reused by the next execution.
const SHARE_FROM: usize = 64 << 10;

/// An owned tensor of the engine.
#[derive(Debug)]
pub(crate) struct Value(NonNull<OrtValue>);

// SAFETY: a value is not bound to a thread; its owner releases it.
unsafe impl Send for Value {}

impl Value {
    /// Takes ownership of a value that the engine created.
    ///
    /// # Safety
    /// `value` is null, or a live value that nobody else releases.
    pub(super) unsafe fn from_raw(value: *mut OrtValue) -> Result<Value> {
        NonNull::new(value).map(Value).ok_or_else(|| Error::internal("onnx runtime gave no value"))
    }

    /// Its shape, and its elements in wire form; `None` if they are not of the expected type. Strings and small tensors
    /// are copied; large ones share the engine's memory, and keep the session alive.
    ///
    /// `lent` are the inputs of the execution: a model may return an input unchanged, whose memory is not the engine's.
    pub(crate) fn take(
        self,
        expected: DataType,
        lent: &Inputs<'_>,
        session: &Session,
    ) -> Result<Option<(Shape, Bytes)>> {
        let (element, shape) = self.describe()?;
        let (true, Some(count)) = (element == raw(expected), shape.element_count()) else { return Ok(None) };
        let Some(element_size) = expected.byte_size() else {
            return Ok(Some((shape, self.strings(count)?)));
        };
        // A saturated product cannot occur for a tensor in memory.
        let size = count.saturating_mul(element_size);
        // SAFETY: type and size were just read, and results of an execution are in host memory.
        let content = unsafe { self.content(size)? };
        if size < SHARE_FROM
            || lent
                .iter()
                .flatten()
                .any(|view| view.data.as_host().is_some_and(|lent| overlap(lent, content)))
        {
            return Ok(Some((shape, PlacedSlice::Host(content).to_vec()?.into())));
        }
        let content = NonNull::from(content);
        let shared = Bytes::from_owner(Shared { content, _value: self, _session: session.inner() });
        Ok(Some((shape, shared)))
    }

    /// Its element type and its shape.
    pub(crate) fn describe(&self) -> Result<(ONNXTensorElementDataType, Shape)> {
        let mut element = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        let (mut dims, mut rank) = (std::ptr::null(), 0);
        // SAFETY: the value is live; all three are written on success.
        unsafe {
            outcome((ort::api().GetTensorElementTypeAndShapeDataReference)(
                self.0.as_ptr(),
                &raw mut element,
                &raw mut dims,
                &raw mut rank,
            ))?;
        }
        if rank == 0 {
            // The pointer may be null then.
            return Ok((element, Shape::default()));
        }
        // SAFETY: the dimensions belong to the value and are read before anything else happens to it.
        Ok((element, Shape::from(unsafe { std::slice::from_raw_parts(dims, rank) })))
    }

    /// A tensor over `size` bytes of a device's memory, which `memory` describes.
    ///
    /// # Safety
    /// The memory is on that device, and is valid as long as the value is used.
    pub(crate) unsafe fn over_device(
        memory: &MemoryInfo<'_>,
        (data_type, shape): (DataType, &Shape),
        address: u64,
        size: usize,
    ) -> Result<Value> {
        let mut value = null_mut();
        // SAFETY: the shape is a slice of the given length; the engine accesses the memory in runs only, and the caller
        // upholds that it is valid then.
        unsafe {
            outcome((ort::api().CreateTensorWithDataAsOrtValue)(
                memory.ptr(),
                address as *mut c_void,
                size,
                shape.as_ptr(),
                shape.len(),
                raw(data_type),
                &raw mut value,
            ))?;
            Value::from_raw(value)
        }
    }

    /// The address of its elements, wherever they are; 0 if it has none.
    pub(crate) fn address(&self) -> Result<u64> {
        let mut start: *mut c_void = null_mut();
        // SAFETY: the value is live; other values than tensors are an error.
        unsafe { outcome((ort::api().GetTensorMutableData)(self.0.as_ptr(), &raw mut start))? };
        Ok(start as u64)
    }

    /// Whether its elements are in host memory.
    pub(crate) fn is_on_host(&self) -> Result<bool> {
        let mut memory = std::ptr::null();
        let mut kind = OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
        // SAFETY: the value is live, and so is its memory's description as long as it is.
        unsafe {
            outcome((ort::api().GetTensorMemoryInfo)(self.0.as_ptr(), &raw mut memory))?;
            (ort::api().MemoryInfoGetDeviceType)(memory, &raw mut kind);
        }
        Ok(kind == OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU)
    }

    pub(super) fn as_ptr(&self) -> *const OrtValue {
        self.0.as_ptr()
    }

    /// The memory of its elements.
    ///
    /// # Safety
    /// The value is a tensor in host memory of `size` bytes, and not of strings.
    unsafe fn content(&self, size: usize) -> Result<&[u8]> {
        if size == 0 {
            return Ok(&[]);
        }
        let mut start: *mut c_void = null_mut();
        // SAFETY: the value is live.
        unsafe { outcome((ort::api().GetTensorMutableData)(self.0.as_ptr(), &raw mut start))? };
        if start.is_null() {
            return Err(Error::internal("onnx runtime gave a tensor without content"));
        }
        // SAFETY: the caller upholds the contract; the memory belongs to the value, and nothing writes to it.
        Ok(unsafe { std::slice::from_raw_parts(start.cast::<u8>(), size) })
    }

    /// The elements of a string tensor in wire form. `count` is the number of elements.
    fn strings(&self, count: usize) -> Result<Bytes> {
        if count == 0 {
            return Ok(Bytes::new());
        }
        let mut size = 0;
        // SAFETY: the value is live; other types are an error.
        unsafe { outcome((ort::api().GetStringTensorDataLength)(self.0.as_ptr(), &raw mut size))? };
        let (mut content, mut offsets) = (vec![0u8; size], vec![0usize; count]);
        // SAFETY: both buffers have the given lengths; the call fails if it needs others.
        unsafe {
            outcome((ort::api().GetStringTensorContent)(
                self.0.as_ptr(),
                content.as_mut_ptr().cast(),
                size,
                offsets.as_mut_ptr(),
                count,
            ))?;
        }
        let mut wire = Vec::with_capacity(size + count * LENGTH_PREFIX);
        for (i, &start) in offsets.iter().enumerate() {
            let end = offsets.get(i + 1).copied().unwrap_or(size);
            let element = content.get(start..end).filter(|element| u32::try_from(element.len()).is_ok());
            let element =
                element.ok_or_else(|| Error::internal("a string of 4 GiB or more has no wire form"))?;
            push_element(&mut wire, element);
        }
        Ok(wire.into())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the value is live and owned.
        unsafe { (ort::api().ReleaseValue)(self.0.as_ptr()) }
    }
}

/// The owner of shared bytes. They may belong to the session, because a model's constant can be an output.
struct Shared {
    content: NonNull<[u8]>,
    // Fields are dropped in this order.
    _value: Value,
    _session: Arc<SharedSessionInner>,
}

// SAFETY: the content is only read, and both owners may be dropped on any thread.
unsafe impl Send for Shared {}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the value lives as long as this; it owns the memory, which is not written to any more.
        unsafe { self.content.as_ref() }
    }
}

fn overlap(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    a.start < b.end && b.start < a.end
}

/// An input tensor over memory that is lent to the engine.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    value: Value,
    _memory: PhantomData<&'a [u8]>,
}

impl<'a> Input<'a> {
    /// A tensor over the given elements, without a copy. `memory` describes host memory. The engine fails if the shape
    /// needs more bytes.
    pub(crate) fn over(
        memory: &MemoryInfo<'_>,
        data_type: DataType,
        shape: &Shape,
        data: &'a [u8],
    ) -> Result<Input<'a>> {
        let mut value = null_mut();
        // SAFETY: data and shape are slices of the given lengths. The engine only reads inputs, and the lifetime keeps
        // the bytes alive at least as long as the value.
        unsafe {
            outcome((ort::api().CreateTensorWithDataAsOrtValue)(
                memory.ptr(),
                data.as_ptr().cast_mut().cast(),
                data.len(),
                shape.as_ptr(),
                shape.len(),
                raw(data_type),
                &raw mut value,
            ))?;
            Ok(Input { value: Value::from_raw(value)?, _memory: PhantomData })
        }
    }

    /// A string tensor, copied from its wire form.
    pub(crate) fn strings(allocator: &Allocator, shape: &Shape, wire: &[u8]) -> Result<Input<'static>> {
        let elements = BytesElements::new(wire).collect::<Result<Vec<_>, _>>();
        let elements = elements.map_err(|fault| Error::invalid_arg(fault.to_string()))?;
        if shape.element_count() != Some(elements.len()) {
            let got = elements.len();
            return Err(Error::invalid_arg(format!(
                "shape {shape} was expected to be filled, got {got} strings"
            )));
        }
        let input = Input::empty_strings(allocator, shape)?;
        for (index, element) in elements.into_iter().enumerate() {
            let mut target = null_mut();
            // SAFETY: there are as many elements as the shape has. The buffer has as many bytes as requested, and is
            // not shared before the execution.
            unsafe {
                outcome((ort::api().GetResizedStringTensorElementBuffer)(
                    input.value.0.as_ptr(),
                    index,
                    element.len(),
                    &raw mut target,
                ))?;
                if !element.is_empty() {
                    target.cast::<u8>().copy_from_nonoverlapping(element.as_ptr(), element.len());
                }
            }
        }
        Ok(input)
    }

    /// A tensor of empty strings.
    pub(crate) fn empty_strings(allocator: &Allocator, shape: &Shape) -> Result<Input<'static>> {
        let mut value = null_mut();
        // SAFETY: the allocator is live; the shape is a slice of the given length.
        let value = unsafe {
            outcome((ort::api().CreateTensorAsOrtValue)(
                allocator.ptr().cast_mut(),
                shape.as_ptr(),
                shape.len(),
                raw(DataType::Bytes),
                &raw mut value,
            ))?;
            Value::from_raw(value)?
        };
        Ok(Input { value, _memory: PhantomData })
    }

    pub(super) fn as_ptr(&self) -> *const OrtValue {
        self.value.0.as_ptr()
    }

    /// The value itself, for a caller that keeps the memory alive.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }
}
