//! String tensors.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{ALIGNMENT, BytesElements, DataType, LENGTH_PREFIX, Shape, push_element};

use super::api::Text;
use super::library::Library;
use super::tensor::{Tensor, impossible, is_possible, made};
use crate::element_type::number;

/// The elements of a string tensor that is made here, until the library lets go of them.
struct Block {
    library: &'static Library,
    start: NonNull<Text>,
    count: usize,
}

impl Block {
    /// Empty strings, aligned as the library wants it: it ends the process where tensors are not.
    fn new(library: &'static Library, count: usize) -> Option<Block> {
        let layout = Block::layout(count)?;
        // SAFETY: the layout is not empty. All zeros are an empty string.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast::<Text>();
        Some(Block { library, start, count })
    }

    fn layout(count: usize) -> Option<Layout> {
        Layout::array::<Text>(count.max(1)).ok()?.align_to(ALIGNMENT).ok()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: every element is a string, which may own memory; the block was allocated with this layout.
        unsafe {
            for index in 0..self.count {
                (self.library.api.TF_StringDealloc)(self.start.as_ptr().add(index));
            }
            if let Some(layout) = Block::layout(self.count) {
                dealloc(self.start.as_ptr().cast(), layout);
            }
        }
    }
}

/// Called by the library when nothing refers to the elements any more.
unsafe extern "C" fn release(_: *mut c_void, _: usize, block: *mut c_void) {
    // SAFETY: the argument was made of a box, and the library passes it once.
    drop(unsafe { Box::from_raw(block.cast::<Block>()) });
}

/// A string tensor over the elements in wire form, without a copy of them. The graph that is run with it must not keep it.
pub(crate) fn over<'a>(library: &'static Library, shape: &Shape, wire: &'a [u8]) -> Result<Tensor<'a>> {
    tensor(library, shape, wire, |place, element| {
        // SAFETY: the place is an empty string, and the element lives as long as the tensor, as its lifetime says.
        unsafe { (library.api.TF_StringAssignView)(place, element.as_ptr().cast(), element.len()) }
    })
}

/// A string tensor with a copy of the elements in wire form.
pub(crate) fn copied(library: &'static Library, shape: &Shape, wire: &[u8]) -> Result<Tensor<'static>> {
    tensor(library, shape, wire, |place, element| {
        // SAFETY: the place is an empty string; the element is read during the call only.
        unsafe { (library.api.TF_StringCopy)(place, element.as_ptr().cast(), element.len()) }
    })
}

fn tensor<'a>(
    library: &'static Library,
    shape: &Shape,
    wire: &[u8],
    assign: impl Fn(*mut Text, &[u8]),
) -> Result<Tensor<'a>> {
    if !is_possible(shape) {
        return Err(impossible(shape));
    }
    let count = shape.element_count().unwrap_or(usize::MAX);
    let unfilled = |got: usize| {
        Error::invalid_arg(format!("shape {shape} was expected to be filled, got {got} strings"))
    };
    // Each element takes its length at least, so this is no more than a few times what was received.
    if count > wire.len() / LENGTH_PREFIX {
        return Err(unfilled(wire.len() / LENGTH_PREFIX));
    }
    let block = Block::new(library, count);
    let block = block.ok_or_else(|| Error::unavailable("there is no memory for a tensor of strings"))?;
    let mut filled = 0;
    for element in BytesElements::new(wire) {
        let element = element.map_err(|fault| Error::invalid_arg(fault.to_string()))?;
        if filled < count {
            // SAFETY: within the block.
            assign(unsafe { block.start.as_ptr().add(filled) }, element);
        }
        filled += 1;
    }
    if filled != count {
        return Err(unfilled(filled));
    }
    let start = block.start.as_ptr().cast();
    let (size, block) = (count * size_of::<Text>(), Box::into_raw(Box::new(block)));
    // SAFETY: the block has `count` strings and stays until the library calls `release`, which takes it over.
    unsafe {
        let (dims, rank) = (shape.as_ptr(), shape.len() as i32);
        let number = number(DataType::Bytes);
        made(library, (library.api.TF_NewTensor)(number, dims, rank, start, size, release, block.cast()))
    }
}

/// The elements of a string tensor in wire form.
pub(super) fn wire(tensor: &Tensor<'static>) -> Result<Bytes> {
    let (api, content) = (&tensor.library.api, tensor.content());
    #[expect(clippy::cast_ptr_alignment, reason = "the library aligns its tensors")]
    let start = content.as_ptr().cast::<Text>();
    let texts = (0..content.len() / size_of::<Text>()).map(|index| {
        // SAFETY: a string tensor has a string in each 24 bytes; its text lives as long as the tensor.
        unsafe {
            let text = start.add(index);
            let (start, size) = ((api.TF_StringGetDataPointer)(text), (api.TF_StringGetSize)(text));
            if size == 0 { &[] } else { std::slice::from_raw_parts(start.cast::<u8>(), size) }
        }
    });
    let size = texts.clone().map(|text| LENGTH_PREFIX + text.len()).sum();
    let mut wire = Vec::new();
    let reserved = wire.try_reserve_exact(size);
    reserved.map_err(|_| Error::unavailable("there is no memory for strings of an output"))?;
    for text in texts {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::internal("a string of 4 GiB or more has no wire form"));
        }
        push_element(&mut wire, text);
    }
    Ok(wire.into())
}
