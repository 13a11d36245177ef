//! What a run gave.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};

use bytes::Bytes;
use hippocamp_tensor::{LENGTH_PREFIX, PlacedSlice, Shape, push_element};

use super::api::{self, kind};
use super::library::Library;
use super::module::text;
use crate::error::Fault;

/// From this size on tensors share the library's memory instead of being copied.
const SHARE_FROM: usize = 64 << 10;

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Outputs {
    library: &'static Library,
    raw: NonNull<api::Outputs>,
}

/// A result, taken from the library.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The number of its element type, its shape, and its elements.
    Tensor(i32, Shape, Bytes),
    /// A list of strings in wire form, and how many there are.
    Strings(usize, Bytes),
    /// Anything else, by the name of its type.
    Other(String),
}

impl Outputs {
    /// # Safety
    /// `raw` is null, or the outputs of a run that nobody else releases.
    pub(super) unsafe fn from_raw(
        library: &'static Library,
        raw: *mut api::Outputs,
    ) -> Result<Outputs, Fault> {
        let raw = NonNull::new(raw).ok_or_else(|| Fault::new(false, "a run gave nothing"))?;
        Ok(Outputs { library, raw })
    }

    /// How many results there are: parts of tuples, lists and dictionaries are results of their own.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the outputs are live.
        unsafe { (self.library.api.result_count)(self.raw.as_ptr()) }
    }

    /// The key of a result that was in a dictionary.
    pub(crate) fn key(&self, index: usize) -> Option<&str> {
        if index >= self.len() {
            return None;
        }
        // SAFETY: the outputs are live, and the index is one of theirs. The key ends with a null byte and lives as long.
        let key = unsafe {
            let key = (self.library.api.result_key)(self.raw.as_ptr(), index);
            if key.is_null() { None } else { Some(CStr::from_ptr(key)) }
        };
        key.and_then(|key| key.to_str().ok())
    }

    /// Takes a result. `index` is below [`len`](Outputs::len). Strings and small tensors are copied; a large one shares the
    /// library's memory if nothing else refers to it.
    pub(crate) fn take(&mut self, index: usize) -> Result<Taken, Fault> {
        assert!(index < self.len(), "a result of this run");
        let (api, raw) = (&self.library.api, self.raw.as_ptr());
        let (mut result, mut fault) = (MaybeUninit::<api::RunResult>::zeroed(), null_mut());
        // SAFETY: all pointers are live during the call, and the index was checked.
        let code = unsafe { (api.result_at)(raw, index, result.as_mut_ptr(), &raw mut fault) };
        // SAFETY: the text is that of this call.
        unsafe { self.library.outcome(code, fault) }?;
        // SAFETY: the call has filled it; all zeros are a value of it, too.
        let result = unsafe { result.assume_init() };
        // SAFETY: what the pointers point to belongs to the outputs and is not written to while these are borrowed here. Null
        // pointers are those of nothing.
        unsafe {
            match result.kind {
                kind::TENSOR => {
                    let shape = Shape::from(slice(result.shape, result.rank));
                    let content = slice(result.data.cast::<u8>(), result.size);
                    let content = self.content(index, content, result.is_sole != 0)?;
                    Ok(Taken::Tensor(result.element, shape, content))
                }
                kind::STRINGS => {
                    let texts = slice(result.strings, result.string_count);
                    let texts = texts.iter().map(|text| slice(text.start, text.size));
                    Ok(Taken::Strings(result.string_count, wire(texts)?))
                }
                _ => Ok(Taken::Other(text(result.type_name).unwrap_or_default())),
            }
        }
    }

    /// # Safety
    /// `content` are the elements of the tensor at that index.
    unsafe fn content(&self, index: usize, content: &[u8], is_sole: bool) -> Result<Bytes, Fault> {
        if content.len() < SHARE_FROM || !is_sole {
            return copied(content);
        }
        // SAFETY: the outputs are live, and the index is one of theirs.
        let kept = unsafe { (self.library.api.keep)(self.raw.as_ptr(), index) };
        match NonNull::new(kept) {
            Some(raw) => {
                let tensor = Kept { library: self.library, raw };
                Ok(Bytes::from_owner(Shared { content: NonNull::from(content), _tensor: tensor }))
            }
            None => copied(content),
        }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        // SAFETY: the outputs are live and owned.
        unsafe { (self.library.api.free_outputs)(self.raw.as_ptr()) };
    }
}

/// A reference to a tensor, which keeps its memory.
struct Kept {
    library: &'static Library,
    raw: NonNull<api::Tensor>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the reference is live and owned.
        unsafe { (self.library.api.free_tensor)(self.raw.as_ptr()) };
    }
}

/// The owner of shared bytes.
struct Shared {
    content: NonNull<[u8]>,
    _tensor: Kept,
}

// SAFETY: the content is only read, nothing else refers to it, and the reference may be dropped on any thread.
unsafe impl Send for Shared {}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the tensor lives as long as this; it has the memory to itself, which is not written to any more.
        unsafe { self.content.as_ref() }
    }
}

/// # Safety
/// As for slices, but for null, which stands for nothing.
unsafe fn slice<'a, T>(start: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller promises it.
    if start.is_null() || len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, len) } }
}

fn copied(content: &[u8]) -> Result<Bytes, Fault> {
    let copy = PlacedSlice::Host(content).to_vec();
    copy.map(Bytes::from).map_err(|error| Fault::new(true, &error.to_string()))
}

fn wire<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Bytes, Fault> {
    let size = texts.clone().map(|text| LENGTH_PREFIX + text.len()).sum();
    let mut wire = Vec::new();
    wire.try_reserve_exact(size).map_err(|_| Fault::new(true, "there is no memory for its strings"))?;
    for text in texts {
        if u32::try_from(text.len()).is_err() {
            return Err(Fault::new(false, "a string of 4 GiB or more has no wire form"));
        }
        push_element(&mut wire, text);
    }
    Ok(wire.into())
}
