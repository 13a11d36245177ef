//! Gives backends the functions of the interface under the name of Triton's library.
//!
//! A backend finds `TRITONSERVER_ErrorNew` by two steps of the loader: a library of the name that the backend was linked
//! with has to be there, and some library that all may use has to have the function. One small library does both. It is
//! written here at run time: it has no code, its name is the one that the backend wants, and its symbols are absolute: the
//! addresses of the functions in this process. The loader takes absolute symbols as they are since version 2.28 of glibc.
//!
//! So the executable exports nothing, and programs and tests that use this crate as a library need no flags of the linker.

#![allow(unsafe_code, reason = "makes a file in memory and has the loader open it")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;

use parking_lot::Mutex;

use crate::exports;

/// The names that are provided.
static PROVIDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Makes the functions available under the name of a library.
///
/// # Errors
/// The reason, as the end of a sentence.
pub(crate) fn provide(name: &str) -> Result<(), String> {
    let mut provided = PROVIDED.lock();
    if provided.contains(name) {
        return Ok(());
    }
    let failed = |e: std::io::Error| format!("no library '{name}' could be made for it: {e}");
    // SAFETY: the name is a C string; the flag has the file closed in programs that are started.
    let descriptor = unsafe { libc::memfd_create(c"libtritonserver".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    // SAFETY: it was just made and belongs to nobody else.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(&library(name, exports::all())).map_err(failed)?;
    // The loader knows libraries by their paths, and the next file may have the same number: no path is used twice.
    let path = format!("/proc/self/fd/{}{}", "./".repeat(provided.len()), file.as_raw_fd());
    hippocamp_engine_library::open_for_all(&PathBuf::from(path))
        .map_err(|why| format!("no library '{name}' could be made for it: {why}"))?;
    provided.insert(name.to_owned());
    Ok(())
}

/// Numbers of the ELF format: of types of segments, of tags of the dynamic section, and sizes.
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SYMBOL: usize = 24;
const DYNAMIC_ENTRY: usize = 16;
const DYNAMIC_ENTRIES: usize = 7;
const PAGE: u64 = 0x1_0000;
const READ: u32 = 4;
const READ_WRITE: u32 = 6;
const GLOBAL_FUNCTION: u8 = 0x12;
const ABSOLUTE: u16 = 0xfff1;
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// The bytes of a library of that name with absolute symbols.
fn library<'a>(name: &str, symbols: impl ExactSizeIterator<Item = (&'a str, usize)> + Clone) -> Vec<u8> {
    let dynamic = HEADER + 2 * PROGRAM_HEADER;
    let symbol_table = dynamic + DYNAMIC_ENTRIES * DYNAMIC_ENTRY;
    let count = symbols.len() + 1;
    let hash = symbol_table + count * SYMBOL;
    let buckets = count;
    let strings = hash + 4 * (2 + buckets + count);

    let mut table = vec![0];
    let soname = string(&mut table, name);
    let mut entries = vec![0; SYMBOL];
    let mut chains: Vec<u32> = vec![0; count];
    let mut firsts: Vec<u32> = vec![0; buckets];
    for (index, (symbol, address)) in symbols.enumerate() {
        let index = index + 1;
        entries.extend(string(&mut table, symbol).to_le_bytes());
        entries.extend([GLOBAL_FUNCTION, 0]);
        entries.extend(ABSOLUTE.to_le_bytes());
        entries.extend((address as u64).to_le_bytes());
        entries.extend(0_u64.to_le_bytes());
        let bucket = hash_of(symbol) as usize % buckets;
        chains[index] = std::mem::replace(&mut firsts[bucket], index as u32);
    }
    let end = strings + table.len();

    let mut bytes = head(end, dynamic);
    for (tag, value) in [
        (DT_SONAME, soname as usize),
        (DT_HASH, hash),
        (DT_STRTAB, strings),
        (DT_SYMTAB, symbol_table),
        (DT_STRSZ, table.len()),
        (DT_SYMENT, SYMBOL),
        (DT_NULL, 0),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend((value as u64).to_le_bytes());
    }
    bytes.extend(entries);
    for word in [buckets as u32, count as u32].into_iter().chain(firsts).chain(chains) {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(table);
    bytes
}

/// The headers of a library of that size, which is loaded as one piece, and whose dynamic section is at that place.
fn head(end: usize, dynamic: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(end);
    bytes.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(3_u16.to_le_bytes()); // a shared library
    bytes.extend(MACHINE.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend((HEADER as u64).to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    for half in [HEADER, PROGRAM_HEADER, 2, 0, 0, 0] {
        bytes.extend((half as u16).to_le_bytes());
    }
    // The loader writes to the dynamic section, so its segment is writable, but nothing is executable.
    let mut segment = |kind: u32, flags: u32, start: usize, size: usize, align: u64| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for word in [start, start, start, size, size] {
            bytes.extend((word as u64).to_le_bytes());
        }
        bytes.extend(align.to_le_bytes());
    };
    segment(PT_LOAD, READ_WRITE, 0, end, PAGE);
    segment(PT_DYNAMIC, READ, dynamic, DYNAMIC_ENTRIES * DYNAMIC_ENTRY, 8);
    bytes
}

/// Appends a string to a table of strings, and returns its place.
fn string(table: &mut Vec<u8>, text: &str) -> u32 {
    let place = table.len() as u32;
    table.extend(text.bytes().filter(|byte| *byte != 0));
    table.push(0);
    place
}

/// The hash function of the ELF format.
fn hash_of(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    use super::*;

    #[test]
    fn a_library_that_is_made_has_every_function_under_any_name() {
        for name in ["libtritonserver-test0.so", "libtritonserver-test1.so"] {
            provide(name).unwrap();
            provide(name).unwrap();
            // It is found by its name alone, as a needed library is.
            // SAFETY: it has no code that would run.
            let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) }.unwrap();
            for (function, address) in exports::all() {
                // SAFETY: only the address is looked at.
                let found = unsafe { library.get::<*const c_void>(function) }.unwrap();
                assert_eq!(found.as_raw_ptr().addr(), address, "{function}");
            }
        }
        // SAFETY: as above.
        assert!(unsafe { Library::open(Some("libtritonserver-test2.so"), RTLD_NOW) }.is_err());
    }

    #[test]
    fn it_is_read_as_what_it_is() {
        let bytes = library("libtritonserver.so", exports::all());
        let dynamic = super::super::elf::read(&super::super::elf::MemorySource(&bytes), "").unwrap();
        assert!(dynamic.needed.is_empty() && dynamic.undefined.is_empty());
    }
}
