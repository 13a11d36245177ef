//! A registered region.

use std::sync::OnceLock;

use hippocamp_backend::{Error, Result};

use crate::mapping::Mapping;
use crate::{fault, object};

/// A mapped part of a shared memory object.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: Box<str>,
    pub(crate) key: Box<str>,
    /// The offset of the region in the object, in bytes.
    pub(crate) offset: u64,
    pub(crate) byte_size: usize,
    mapping: Mapping,
    /// Bytes of the mapping before the region: a mapping begins at a page, a region at any byte.
    lead: usize,
}

impl Region {
    /// Opens the object and maps the region, which has to lie within the object.
    pub(crate) fn open(name: &str, key: &str, offset: u64, byte_size: u64) -> Result<Region> {
        let (object, object_size) = object::open(key)?;
        let end = offset.checked_add(byte_size).filter(|&end| end <= object_size);
        let (Some(_), Ok(size)) = (end, usize::try_from(byte_size)) else {
            return Err(refused(name, "invalid args"));
        };
        if size == 0 {
            return Err(refused(name, "it has no bytes"));
        }
        let lead = (offset % page_size()) as usize;
        let page = libc::off_t::try_from(offset - lead as u64).map_err(|_| refused(name, "invalid args"))?;
        let length = lead + size;
        let unable = |e: std::io::Error| {
            refused(name, &format!("unable to process address space: {e}")).with_source(e)
        };
        fault::prepare().map_err(unable)?;
        let mapping = Mapping::new(&object, page, length).map_err(unable)?;
        Ok(Region { name: name.into(), key: key.into(), offset, byte_size: size, mapping, lead })
    }

    /// The size of the mapping in the address space, in bytes.
    pub(crate) fn mapped(&self) -> usize {
        self.lead + self.byte_size
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The address of byte `at`, which has to be within the region.
    pub(crate) fn address(&self, at: usize) -> *mut u8 {
        self.mapping.address(self.lead + at)
    }

    /// An error if the region has lost its memory.
    pub(crate) fn check(&self) -> Result<()> {
        if self.mapping.is_lost() {
            return Err(Error::invalid_arg(format!(
                "the memory of shared memory region '{}' is gone: its object was truncated, or there was no memory for it; \
                 unregister the region",
                self.name
            )));
        }
        Ok(())
    }
}

#[cold]
pub(crate) fn refused(name: &str, why: &str) -> Error {
    Error::invalid_arg(format!("failed to register shared memory region '{name}': {why}"))
}

fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(page_size_of_the_system)
}

#[allow(unsafe_code, reason = "asks the C library")]
fn page_size_of_the_system() -> u64 {
    // SAFETY: only reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096).max(1)
}
