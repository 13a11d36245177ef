//! Lets a backend use the ONNX Runtime beside it, though the process has loaded another version.
//!
//! The loader takes a library that is loaded for each that a new one needs by the same name. This server may have loaded an ONNX
//! Runtime of its own, which a backend that brings another version of it would get then, and is refused with: `version 'VERS_1.20.1'
//! not found`. So while a backend is opened, the name of such a library is another one.
//!
//! This is for ONNX Runtime alone: it is one file, with all that it shares hidden in it. Other engines are several files, which need one another
//! by names that the loader keeps elsewhere, and have variables that the loader makes one in all of the process, whatever the version.
//! It has two limits. What another library has got by the name before keeps the name. And whoever opens a library that needs it on
//! another thread in the same moment gets a second one.

#![allow(unsafe_code, reason = "reads and changes the names of loaded libraries in memory")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{ptr, slice};

/// How the names begin of which a process may have several.
const APART: &str = "libonnxruntime.";

/// Names that are hidden until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<Name>);

/// The name of a loaded library, in memory.
#[derive(Debug)]
struct Name {
    first: *mut u8,
    /// How its page may be used.
    protection: c_int,
    was: u8,
}

/// A loaded library with a name.
#[derive(Debug)]
struct Loaded {
    file: Vec<u8>,
    soname: Vec<u8>,
    first: *mut u8,
    protection: c_int,
}

/// Hides a loaded ONNX Runtime if there is another one of the same name beside this library, which is to be opened.
pub(super) fn hide(library: &Path) -> Hidden {
    let Some(folder) = library.parent() else { return Hidden::default() };
    let mut loaded: Vec<Loaded> = Vec::new();
    // SAFETY: the function has the type that is asked for, and its data is valid during the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut loaded).cast()) };
    let is_other = |loaded: &Loaded| {
        let of = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let theirs = of(&folder.join(OsStr::from_bytes(&loaded.soname)));
        let ours = of(Path::new(OsStr::from_bytes(&loaded.file)));
        theirs.is_some() && ours.is_some() && theirs != ours
    };
    Hidden(
        loaded
            .iter()
            .filter(|loaded| loaded.soname.starts_with(APART.as_bytes()) && is_other(loaded))
            .filter_map(Name::hide)
            .collect(),
    )
}

impl Name {
    fn hide(loaded: &Loaded) -> Option<Name> {
        let &Loaded { first, protection, .. } = loaded;
        // SAFETY: it is in a string of a library that is loaded, as `note` has seen.
        let name = Name { first, protection, was: unsafe { first.read_volatile() } };
        name.write(b'\x01').then_some(name)
    }

    /// Writes the first byte, on a page that is then this process's own. Nobody but the loader reads names, which opens one library at
    /// a time.
    fn write(&self, byte: u8) -> bool {
        // SAFETY: asks for a number.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let page = self.first.map_addr(|address| address & !(size - 1)).cast::<c_void>();
        // SAFETY: the page is part of a library that is loaded; it may be used as before, and also be written.
        if unsafe { libc::mprotect(page, size, self.protection | libc::PROT_WRITE) } != 0 {
            return false;
        }
        // SAFETY: it may be written now.
        unsafe { self.first.write_volatile(byte) };
        // SAFETY: as it was before.
        unsafe { libc::mprotect(page, size, self.protection) };
        true
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        for name in &self.0 {
            name.write(name.was);
        }
    }
}

/// Notes a library of those that are loaded.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _size: usize, all: *mut c_void) -> c_int {
    // SAFETY: the loader describes a library for the time of this call; the data is that of `hide`.
    let (info, all) = unsafe { (&*info, &mut *all.cast::<Vec<Loaded>>()) };
    // SAFETY: the same.
    all.extend(unsafe { loaded(info) });
    0
}

/// # Safety
/// The library is loaded.
unsafe fn loaded(info: &libc::dl_phdr_info) -> Option<Loaded> {
    const DT_NULL: u64 = 0;
    const DT_STRTAB: u64 = 5;
    const DT_SONAME: u64 = 14;
    // SAFETY: the loader lends both.
    let (file, headers) = unsafe {
        (CStr::from_ptr(info.dlpi_name), slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    if file.is_empty() {
        return None;
    }
    let at = |address: u64| (info.dlpi_addr as usize).wrapping_add(address as usize);
    let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
    let (mut strings, mut soname) = (None, None);
    let mut entry = ptr::with_exposed_provenance::<[u64; 2]>(at(dynamic.p_vaddr));
    loop {
        // SAFETY: the list is in memory and ends with DT_NULL.
        let [tag, value] = unsafe { entry.read_unaligned() };
        match tag {
            DT_NULL => break,
            DT_STRTAB => strings = Some(value),
            DT_SONAME => soname = Some(value),
            _ => {}
        }
        entry = entry.wrapping_add(1);
    }
    // Some loaders write where the strings are in memory, some leave it as it is in the file.
    let strings = strings?.checked_sub(info.dlpi_addr).or(strings)?;
    let place = strings.checked_add(soname?)?;
    let within = |header: &&libc::Elf64_Phdr| {
        header.p_type == libc::PT_LOAD && place.wrapping_sub(header.p_vaddr) < header.p_filesz
    };
    let segment = headers.iter().find(within)?;
    let allowed =
        [(libc::PF_R, libc::PROT_READ), (libc::PF_W, libc::PROT_WRITE), (libc::PF_X, libc::PROT_EXEC)];
    let allowed = allowed.into_iter().filter(|(flag, _)| segment.p_flags & flag != 0);
    let protection = allowed.fold(0, |all, (_, one)| all | one);
    let first = ptr::with_exposed_provenance_mut::<u8>(at(place));
    // SAFETY: a string of the library, which is in memory.
    let name = unsafe { CStr::from_ptr(first.cast::<c_char>()) };
    Some(Loaded { file: file.to_bytes().to_vec(), soname: name.to_bytes().to_vec(), first, protection })
}
