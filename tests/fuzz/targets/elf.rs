//! Any bytes that are the library of a backend are read for what it wants, without a panic and without end.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|library: &[u8]| {
    let names = hippocamp_backend_triton::fuzz_elf(library);
    // Many may share one name, but each takes room of its own.
    assert!(names <= library.len() / 8);
});
