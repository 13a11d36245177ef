//! The library's tensors.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_batching::Inputs;
use hippocamp_tensor::{DataType, PlacedSlice, Shape};

use super::api;
use super::library::Library;
use super::strings;
use crate::element_type::number;
use crate::error::{Fault, code};

/// From this size on tensors share the library's memory instead of being copied.
const SHARE_FROM: usize = 64 << 10;

/// The most dimensions that the library's shapes have. It ends the process where there are more.
const MOST_DIMENSIONS: usize = 254;

/// A tensor, which borrows its elements for `'a`, or owns them.
#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    pub(super) library: &'static Library,
    pub(super) raw: NonNull<api::Tensor>,
    pub(super) _elements: PhantomData<&'a [u8]>,
}

// SAFETY: a tensor is not bound to a thread; its owner releases it.
unsafe impl Send for Tensor<'_> {}

/// Whether the library can have a tensor of that shape. It ends the process for other shapes: it multiplies the sizes in
/// their order, and a zero that comes late does not help.
pub(crate) fn is_possible(shape: &[i64]) -> bool {
    let product = shape
        .iter()
        .try_fold(1i64, |product, size| (*size >= 0).then(|| product.checked_mul((*size).max(1))).flatten());
    shape.len() <= MOST_DIMENSIONS && product.is_some_and(|product| product <= i64::MAX / 32)
}

/// The error of a shape that is not possible.
#[cold]
pub(crate) fn impossible(shape: &[i64]) -> Error {
    Error::invalid_arg(format!("a tensor of shape {} is more than TensorFlow can have", Shape::from(shape)))
}

/// Called by the library when it lets go of elements that it never owned.
unsafe extern "C" fn leave(_: *mut c_void, _: usize, _: *mut c_void) {}

impl<'a> Tensor<'a> {
    /// A tensor over the given elements, without a copy if they are aligned as the library wants it. The graph that is run
    /// with it must not keep it.
    pub(crate) fn over(
        library: &'static Library,
        data_type: DataType,
        shape: &Shape,
        data: &'a [u8],
    ) -> Result<Tensor<'a>> {
        check(data_type, shape, data)?;
        // SAFETY: shape and data are slices of the given lengths. The library only reads inputs, unless it owns them: with a
        // deallocator that is not its own it does not. The lifetime keeps the bytes as long as the tensor, and the caller
        // promises that nothing else has them by then.
        unsafe {
            let raw = (library.api.TF_NewTensor)(
                number(data_type),
                shape.as_ptr(),
                shape.len() as i32,
                data.as_ptr().cast_mut().cast(),
                data.len(),
                leave,
                std::ptr::null_mut(),
            );
            made(library, raw)
        }
    }

    /// A tensor with a copy of the given elements.
    pub(crate) fn copied(
        library: &'static Library,
        data_type: DataType,
        shape: &Shape,
        data: &[u8],
    ) -> Result<Tensor<'static>> {
        check(data_type, shape, data)?;
        // SAFETY: the tensor has the size that was asked for, which is that of `data`.
        unsafe {
            let (dims, rank) = (shape.as_ptr(), shape.len() as i32);
            let raw = (library.api.TF_AllocateTensor)(number(data_type), dims, rank, data.len());
            let tensor = made(library, raw)?;
            let place = (library.api.TF_TensorData)(tensor.as_ptr());
            if !data.is_empty() {
                if place.is_null() {
                    return Err(Error::unavailable("TensorFlow has no memory for an input"));
                }
                place.cast::<u8>().copy_from_nonoverlapping(data.as_ptr(), data.len());
            }
            Ok(tensor)
        }
    }

    /// Takes ownership of a tensor that the library made.
    ///
    /// # Safety
    /// `raw` is null, or a live tensor that nobody else releases.
    pub(super) unsafe fn from_raw(
        library: &'static Library,
        raw: *mut api::Tensor,
    ) -> Result<Tensor<'static>, Fault> {
        let raw = NonNull::new(raw).ok_or_else(|| Fault::new(code::UNAVAILABLE, "a run gave no tensor"))?;
        Ok(Tensor { library, raw, _elements: PhantomData })
    }

    pub(super) fn as_ptr(&self) -> *mut api::Tensor {
        self.raw.as_ptr()
    }

    /// The number of its element type, and its shape.
    pub(crate) fn describe(&self) -> (i32, Shape) {
        let api = &self.library.api;
        // SAFETY: the tensor is live; dimensions are asked for within its rank.
        unsafe {
            let rank = (api.TF_NumDims)(self.as_ptr());
            let shape = (0..rank).map(|dim| (api.TF_Dim)(self.as_ptr(), dim)).collect();
            ((api.TF_TensorType)(self.as_ptr()), shape)
        }
    }

    /// The memory of its elements.
    pub(super) fn content(&self) -> &[u8] {
        let api = &self.library.api;
        // SAFETY: the tensor is live and in host memory; it owns as many bytes as it says, and nothing writes to them.
        unsafe {
            let (start, size) = ((api.TF_TensorData)(self.as_ptr()), (api.TF_TensorByteSize)(self.as_ptr()));
            if size == 0 || start.is_null() { &[] } else { std::slice::from_raw_parts(start.cast(), size) }
        }
    }
}

impl Tensor<'static> {
    /// Its shape, and its elements in wire form; `None` if they are not of the expected type. Strings and small tensors
    /// are copied; large ones share the library's memory if that `may_be_shared`.
    ///
    /// `lent` are the inputs of the run: a graph may return an input unchanged, whose memory is not the library's.
    pub(crate) fn take(
        self,
        expected: DataType,
        lent: &Inputs<'_>,
        may_be_shared: bool,
    ) -> Result<Option<(Shape, Bytes)>> {
        let (element, shape) = self.describe();
        if element != number(expected) {
            return Ok(None);
        }
        if expected == DataType::Bytes {
            return Ok(Some((shape, strings::wire(&self)?)));
        }
        let content = self.content();
        let is_lent = || {
            let mut all = lent.iter().flatten();
            all.any(|view| view.data.as_host().is_some_and(|lent| overlap(lent, content)))
        };
        if content.len() < SHARE_FROM || !may_be_shared || is_lent() {
            return Ok(Some((shape, PlacedSlice::Host(content).to_vec()?.into())));
        }
        let content = NonNull::from(content);
        Ok(Some((shape, Bytes::from_owner(Shared { content, _tensor: self }))))
    }
}

impl Drop for Tensor<'_> {
    fn drop(&mut self) {
        // SAFETY: the tensor is live and owned.
        unsafe { (self.library.api.TF_DeleteTensor)(self.as_ptr()) };
    }
}

/// The owner of shared bytes.
struct Shared {
    content: NonNull<[u8]>,
    _tensor: Tensor<'static>,
}

// SAFETY: the content is only read, and the tensor may be dropped on any thread.
unsafe impl Send for Shared {}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the tensor lives as long as this; it owns the memory, which is not written to any more.
        unsafe { self.content.as_ref() }
    }
}

fn overlap(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    a.start < b.end && b.start < a.end
}

/// Checks that there are as many bytes as the shape needs, and that the library can have it.
fn check(data_type: DataType, shape: &Shape, data: &[u8]) -> Result<()> {
    if !is_possible(shape) {
        return Err(impossible(shape));
    }
    if shape.byte_size(data_type) == Some(data.len()) {
        return Ok(());
    }
    let got = data.len();
    Err(Error::internal(format!("an input of shape {shape} was expected to be filled, got {got} bytes")))
}

/// The tensor of a call that makes one.
///
/// # Safety
/// `raw` is null, or a live tensor that nobody else releases, with elements that live for `'a`.
pub(super) unsafe fn made<'a>(library: &'static Library, raw: *mut api::Tensor) -> Result<Tensor<'a>> {
    let raw = NonNull::new(raw).ok_or_else(|| Error::unavailable("TensorFlow made no tensor of an input"))?;
    Ok(Tensor { library, raw, _elements: PhantomData })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_would_end_the_process_are_known() {
        const HUGE: i64 = 1 << 40;
        for possible in [&[] as &[i64], &[0], &[2, 3], &[0, 5, 0], &[HUGE], &[1; 254]] {
            assert!(is_possible(possible), "{possible:?}");
        }
        for impossible in [&[HUGE, HUGE, 0] as &[i64], &[0, HUGE, HUGE], &[i64::MAX], &[-1], &[1; 255]] {
            assert!(!is_possible(impossible), "{impossible:?}");
        }
    }
}
