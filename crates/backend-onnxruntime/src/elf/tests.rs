use std::fs;

use super::*;

#[test]
fn this_program_needs_the_c_library() {
    let names = needed(&std::env::current_exe().unwrap()).unwrap();
    assert!(names.iter().any(|name| name.starts_with("libc.so")), "{names:?}");
}

#[test]
fn damaged_files_are_errors() {
    let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lib.so");
    for size in [0, 10, 63, 64, 100, 4000] {
        fs::write(&file, &whole[..size]).unwrap();
        assert!(needed(&file).is_err(), "of {size} bytes");
    }
    // Whatever a table claims, it is an error or a list, and never a panic.
    for at in (0..64).chain(64..1024) {
        let mut bytes = whole.get(..1 << 20).unwrap_or(&whole).to_vec();
        bytes[at] ^= 0xff;
        fs::write(&file, bytes).unwrap();
        drop(needed(&file));
    }
}
