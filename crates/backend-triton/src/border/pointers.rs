//! Pointers that backends pass. They are NULL or as the interface says: more cannot be found out about a pointer.

#![allow(unsafe_code, reason = "reads and writes through pointers of a foreign library")]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_void};
use std::slice;

use hippocamp_backend::Result;

use super::misuse;

/// Where a function writes a result.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// Fails if it is NULL.
    pub(crate) fn check(self, name: &str) -> Result<()> {
        if self.0.is_null() { Err(misuse(format!("'{name}' is NULL"))) } else { Ok(()) }
    }

    /// Writes the result.
    pub(crate) fn set(self, name: &str, value: T) -> Result<()> {
        self.check(name)?;
        self.set_if_wanted(value);
        Ok(())
    }

    /// Writes the result unless it is NULL: the caller does not want it.
    pub(crate) fn set_if_wanted(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: it is not NULL, so the interface says that it points to a place for a `T`. Nothing is assumed of its
            // alignment.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

/// What a function reads and then writes.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct InOut<T>(*mut T);

impl<T: Copy> InOut<T> {
    pub(crate) fn get(self, name: &str) -> Result<T> {
        self.out().check(name)?;
        // SAFETY: as in `Out::set_if_wanted`; the caller has written it.
        Ok(unsafe { self.0.read_unaligned() })
    }

    pub(crate) fn out(self) -> Out<T> {
        Out(self.0)
    }
}

/// A C string.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    /// The text, which has to be there and to be UTF-8.
    pub(crate) fn read(&self, name: &str) -> Result<&str> {
        let text = self.bytes().ok_or_else(|| misuse(format!("'{name}' is NULL")))?;
        std::str::from_utf8(text).map_err(|_| misuse(format!("'{name}' is not UTF-8")))
    }

    /// The text, with replacements for what is not UTF-8; empty if it is NULL.
    pub(crate) fn read_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes().unwrap_or_default())
    }

    fn bytes(&self) -> Option<&[u8]> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: it is not NULL, so the interface says that it is a C string, which stays during the call.
        Some(unsafe { CStr::from_ptr(self.0) }.to_bytes())
    }
}

/// So many values of the caller's; none of no length may be NULL.
pub(crate) fn list<'a, T: Copy>(start: *const T, count: u64, name: &str) -> Result<Cow<'a, [T]>> {
    if count == 0 {
        return Ok(Cow::Borrowed(&[]));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= isize::MAX as usize / size_of::<T>());
    let count = count.ok_or_else(|| misuse(format!("there cannot be so many of '{name}'")))?;
    if start.is_null() {
        return Err(misuse(format!("'{name}' is NULL")));
    }
    if start.is_aligned() {
        // SAFETY: it is aligned and not NULL, so the interface says that `count` values are there during the call.
        return Ok(Cow::Borrowed(unsafe { slice::from_raw_parts(start, count) }));
    }
    // SAFETY: as above, but for the alignment, which is not assumed.
    Ok((0..count).map(|index| unsafe { start.add(index).read_unaligned() }).collect())
}

/// So many bytes of the caller's.
pub(crate) fn bytes<'a>(start: *const c_void, size: usize, name: &str) -> Result<&'a [u8]> {
    match list(start.cast::<u8>(), size as u64, name)? {
        Cow::Borrowed(bytes) => Ok(bytes),
        Cow::Owned(_) => Err(misuse(format!("'{name}' is not aligned"))),
    }
}

/// A text as backends get it; it ends at the first zero byte.
pub(crate) fn text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// The address of a text, to be lent to a backend.
pub(crate) fn address(text: &CStr) -> *const c_char {
    text.as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn null_is_told_by_name() {
        let said = |error: hippocamp_backend::Error| error.message().to_owned();
        assert_eq!(said(Out::<u32>(ptr::null_mut()).set("count", 1).unwrap_err()), "'count' is NULL");
        assert_eq!(said(Text(ptr::null()).read("name").unwrap_err()), "'name' is NULL");
        assert_eq!(Text(ptr::null()).read_lossy(), "");
        assert_eq!(said(Text(c"\xff".as_ptr()).read("name").unwrap_err()), "'name' is not UTF-8");
        assert_eq!(said(list(ptr::null::<i64>(), 1, "shape").unwrap_err()), "'shape' is NULL");
        assert!(list(ptr::null::<i64>(), 0, "shape").unwrap().is_empty());
        let too_many = list([1_i64].as_ptr(), u64::MAX, "shape").unwrap_err();
        assert_eq!(said(too_many), "there cannot be so many of 'shape'");
    }

    #[test]
    #[allow(clippy::cast_ptr_alignment, reason = "that is what is tested")]
    fn values_are_read_and_written_whatever_their_alignment() {
        let mut place = [0_u64; 3];
        let odd = place.as_mut_ptr().cast::<u8>().wrapping_add(1).cast::<u64>();
        Out(odd).set("x", 0x0102_0304).unwrap();
        assert_eq!(InOut(odd).get("x").unwrap(), 0x0102_0304);
        assert_eq!(*list(odd.cast_const(), 1, "x").unwrap(), [0x0102_0304]);
        assert_eq!(text("a\0b").as_c_str(), c"a");
    }
}
