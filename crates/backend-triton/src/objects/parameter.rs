//! Parameters that backends make: labels of metrics, and settings of loads.

#![allow(unsafe_code, reason = "reads values whose types the caller names")]

use std::ffi::c_void;

use hippocamp_backend::Result;

use crate::border::{Kind, Object, Out, ParameterType, Ref, Registry, Text, bytes, call_for, list, misuse};

/// A name with a value.
#[derive(Debug)]
pub(crate) struct ParameterObject {
    pub(crate) name: String,
    pub(crate) content: ParameterContent,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ParameterContent {
    String(String),
    Int(i64),
    Bool(bool),
    Double(f64),
    /// The address and the number of bytes that are lent for as long as the parameter is there.
    Bytes(usize, usize),
}

impl ParameterContent {
    /// The lent bytes, if the content is bytes.
    ///
    /// # Safety
    /// The caller has the parameter by a handle, for whose life its maker lends the bytes.
    pub(crate) unsafe fn lent_bytes(&self) -> Option<&[u8]> {
        let ParameterContent::Bytes(start, size) = self else { return None };
        if *size == 0 {
            return Some(&[]);
        }
        let start = std::ptr::with_exposed_provenance::<u8>(*start);
        // SAFETY: as the caller promises.
        Some(unsafe { std::slice::from_raw_parts(start, *size) })
    }
}

impl Object for ParameterObject {
    const KIND: Kind = Kind::Parameter;

    fn registry() -> &'static Registry<Self> {
        static PARAMETERS: Registry<ParameterObject> = Registry::new(Kind::Parameter);
        &PARAMETERS
    }
}

/// The value that `value` points to.
fn content(kind: ParameterType, value: *const c_void) -> Result<ParameterContent> {
    fn one<T: Copy>(value: *const c_void) -> Result<T> {
        Ok(list(value.cast::<T>(), 1, "value")?[0])
    }
    Ok(match kind {
        ParameterType::String => {
            // SAFETY: a `Text` is such a pointer. It is checked when it is read.
            let text = unsafe { std::mem::transmute::<*const c_void, Text>(value) };
            ParameterContent::String(text.read("value")?.to_owned())
        }
        ParameterType::Int => ParameterContent::Int(one(value)?),
        ParameterType::Bool => ParameterContent::Bool(one::<u8>(value)? != 0),
        ParameterType::Double => ParameterContent::Double(one(value)?),
        ParameterType::Bytes => return Err(misuse("bytes are given to TRITONSERVER_ParameterBytesNew")),
    })
}

pub(crate) extern "C" fn new(name: Text, kind: u32, value: *const c_void) -> Ref<ParameterObject> {
    call_for("TRITONSERVER_ParameterNew", Ref::NULL, || {
        let kind = ParameterType::from_number(kind, "type")?;
        let (name, content) = (name.read("name")?.to_owned(), content(kind, value)?);
        Ref::new(ParameterObject { name, content })
    })
}

pub(crate) extern "C" fn bytes_new(name: Text, start: *const c_void, size: u64) -> Ref<ParameterObject> {
    call_for("TRITONSERVER_ParameterBytesNew", Ref::NULL, || {
        let size = usize::try_from(size).map_err(|_| misuse("'size' is larger than any memory"))?;
        let lent = bytes(start, size, "byte_ptr")?;
        let content = ParameterContent::Bytes(lent.as_ptr().expose_provenance(), size);
        Ref::new(ParameterObject { name: name.read("name")?.to_owned(), content })
    })
}

pub(crate) extern "C" fn delete(parameter: Ref<ParameterObject>) {
    call_for("TRITONSERVER_ParameterDelete", (), || parameter.remove_unless_null());
}

/// The parameters in a list of handles.
pub(crate) fn all(
    start: *const Ref<ParameterObject>,
    count: u64,
    name: &str,
) -> Result<Vec<crate::border::Use<ParameterObject>>> {
    list(start, count, name)?.iter().map(|parameter| parameter.get()).collect()
}

/// Where a backend reads the value of a parameter that it gets: an address of the value.
#[derive(Debug)]
#[allow(dead_code, reason = "read by address")]
pub(crate) enum LentValue {
    String(std::ffi::CString),
    Int(i64),
    Bool(bool),
    Double(f64),
}

impl LentValue {
    pub(crate) fn of(value: &hippocamp_backend::ParameterValue) -> LentValue {
        use hippocamp_backend::ParameterValue;
        match value {
            ParameterValue::Bool(value) => LentValue::Bool(*value),
            ParameterValue::Int64(value) => LentValue::Int(*value),
            // The interface has no such type. What does not fit is the largest number that does.
            ParameterValue::Uint64(value) => LentValue::Int(i64::try_from(*value).unwrap_or(i64::MAX)),
            ParameterValue::Double(value) => LentValue::Double(*value),
            ParameterValue::String(value) => LentValue::String(crate::border::text(value)),
        }
    }

    /// The type, and the address of the value.
    pub(crate) fn lend(&self) -> (ParameterType, *const c_void) {
        match self {
            LentValue::String(value) => (ParameterType::String, value.as_ptr().cast()),
            LentValue::Int(value) => (ParameterType::Int, (&raw const *value).cast()),
            LentValue::Bool(value) => (ParameterType::Bool, (&raw const *value).cast()),
            LentValue::Double(value) => (ParameterType::Double, (&raw const *value).cast()),
        }
    }

    /// Writes type and address.
    pub(crate) fn write(&self, kind: Out<u32>, value: Out<*const c_void>) -> Result<()> {
        let (number, lent) = self.lend();
        kind.check("type")?;
        value.set("value", lent)?;
        kind.set("type", number.number())
    }
}
