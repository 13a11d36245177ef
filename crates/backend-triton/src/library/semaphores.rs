//! Learns when a library wakes another process, and has it wait for one so that the wait may be given up.
//!
//! A library calls functions of the C library by a table of addresses, which the loader has filled in. In the table of the Python
//! backend two that have to do with semaphores are replaced: the one that posts by one that has `python-stubs` do so, and the one that
//! waits without a limit.

#![allow(unsafe_code, reason = "reads and writes the tables of a foreign library")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use hippocamp_python_stubs::wakes_stub;
use libc::sem_t;
use libloading::os::unix::Library;

use super::given_up;
use super::maps::mappings;

extern "C" fn post(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller keeps the rules of the function that it meant to call.
    wakes_stub(|| unsafe { libc::sem_post(semaphore) })
}

extern "C-unwind" fn wait(semaphore: *mut sem_t) -> c_int {
    given_up::wait(semaphore)
}

/// The number of the kind of entry that a call goes by.
#[cfg(target_arch = "x86_64")]
const JUMP_SLOT: u64 = 7;
#[cfg(target_arch = "aarch64")]
const JUMP_SLOT: u64 = 1026;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const JUMP_SLOT: u64 = u64::MAX;

/// What `dlinfo` gives.
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const c_char,
    dynamic: *const Dynamic,
}

#[repr(C)]
struct Dynamic {
    tag: i64,
    value: usize,
}

#[repr(C)]
struct Relocation {
    offset: usize,
    info: u64,
    addend: i64,
}

#[repr(C)]
struct Symbol {
    name: u32,
    rest: [u32; 5],
}

/// Replaces the functions in the table of an opened library, which is never closed. False if it has none that can be written: its
/// calls go by other ways, or the table is fixed.
pub(super) fn watch(library: &Library) -> bool {
    let Some(slots) = slots(library) else { return false };
    let writable: Vec<_> = mappings().filter(|mapping| mapping.is_writable).collect();
    let fits =
        |slot: &usize| slot.is_multiple_of(8) && writable.iter().any(|mapping| mapping.range.contains(slot));
    if !slots.iter().all(|(slot, _)| fits(slot)) {
        return false;
    }
    for (slot, function) in slots {
        // SAFETY: it is an aligned word of a table of the library, which stays, and may be written. Whoever calls by it meanwhile
        // gets the old address or the new one.
        let slot = unsafe { AtomicPtr::from_ptr(ptr::with_exposed_provenance_mut::<*mut c_void>(slot)) };
        slot.store(function, Ordering::Release);
    }
    true
}

/// Where the addresses are, with what takes their place. `None` unless the library both posts and waits.
fn slots(library: &Library) -> Option<Vec<(usize, *mut c_void)>> {
    /// The tags of what is looked for: string table, symbol table, and the table of calls with its size.
    const TAGS: [i64; 4] = [5, 6, 23, 2];
    let mut map: *const LinkMap = ptr::null();
    let handle = handle_of(library);
    // SAFETY: the handle is of an opened library, and `map` a place for what is asked for.
    if unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) } != 0 || map.is_null() {
        return None;
    }
    // SAFETY: the loader keeps it as long as the library is opened; it begins with these fields.
    let map = unsafe { &*map };
    let mut found = [0; 4];
    let mut entry = map.dynamic;
    loop {
        // SAFETY: the list ends with an entry whose tag is 0.
        let Dynamic { tag, value } = unsafe { entry.read() };
        if tag == 0 {
            break;
        }
        if let Some(place) = TAGS.iter().position(|wanted| *wanted == tag) {
            found[place] = value;
        }
        // SAFETY: it is not the last.
        entry = unsafe { entry.add(1) };
    }
    if found.contains(&0) {
        return None;
    }
    // Most loaders have added the base already.
    let at = |address: usize| if address < map.base { address + map.base } else { address };
    let strings = ptr::with_exposed_provenance::<c_char>(at(found[0]));
    let symbols = ptr::with_exposed_provenance::<Symbol>(at(found[1]));
    let relocations = ptr::with_exposed_provenance::<Relocation>(at(found[2]));
    let mut slots = Vec::new();
    let (mut posts, mut waits) = (false, false);
    for index in 0..found[3] / size_of::<Relocation>() {
        // SAFETY: the table has so many entries.
        let relocation = unsafe { &*relocations.add(index) };
        if relocation.info & 0xffff_ffff != JUMP_SLOT {
            continue;
        }
        // SAFETY: an entry of this kind has the number of a symbol, whose name is in the string table.
        let name = unsafe {
            let symbol = &*symbols.add((relocation.info >> 32) as usize);
            CStr::from_ptr(strings.add(symbol.name as usize))
        };
        let function = match name.to_bytes() {
            b"sem_post" => post as *const () as *mut c_void,
            b"sem_wait" => wait as *const () as *mut c_void,
            _ => continue,
        };
        posts |= name == c"sem_post";
        waits |= name != c"sem_post";
        slots.push((map.base + relocation.offset, function));
    }
    (posts && waits).then_some(slots)
}

/// The handle of a library, which stays opened.
fn handle_of(library: &Library) -> *mut c_void {
    // SAFETY: the copy is given up again without being closed.
    let copy = unsafe { ptr::read(library) };
    copy.into_raw()
}
