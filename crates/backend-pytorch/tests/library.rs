//! Whatever is in the place of the shared library is refused with a helpful message, until the right library is there.
//!
//! One test, because a process opens the library once.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;

use hippocamp_backend::Backend;
use hippocamp_backend_pytorch::{PyTorchBackend, Settings};
use kit::library;

/// Why a library was refused; asserts the rest of the message.
fn refused(settings: Settings) -> String {
    let library = settings.library.now().to_owned();
    let error = PyTorchBackend::new(settings).available();
    let reason = error.expect_err("the library was expected to be refused").reason();
    let start = format!("Unavailable: PyTorch cannot be loaded from '{}': ", library.display());
    let end = ". Version 2.15.0 is expected, with libhippocamp_torch.so beside it: get both with scripts/fetch torch and \
               scripts/torch-shim, or name the library with --backend-config=pytorch,library=PATH, the shim with shim=PATH";
    let why = reason.strip_prefix(&start).and_then(|rest| rest.strip_suffix(end));
    why.unwrap_or_else(|| panic!("another text was expected: {reason}")).to_owned()
}

/// Compiles a library from C code.
fn compiled(folder: &Path, name: &str, code: &str) -> PathBuf {
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&source, code).unwrap();
    let run = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(run.expect("this test needs a C compiler by the name of cc").success());
    library
}

/// All functions of a shim that was built for another PyTorch; the first that are called say so.
fn early_functions() -> String {
    let code = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ffi/api.rs")).unwrap();
    let symbols = code.split('"').filter(|part| part.starts_with("hippocamp_torch_"));
    let each = |name: &str| match name {
        "hippocamp_torch_built_for" => format!("const char *{name}(void) {{ return \"2.8.0\"; }}\n"),
        "hippocamp_torch_built_for_abi" => {
            format!("unsigned long {name}(void) {{ return 2ul << 56 | 8ul << 48; }}\n")
        }
        "hippocamp_torch_library_abi" => {
            format!("unsigned long {name}(void) {{ return 2ul << 56 | 15ul << 48; }}\n")
        }
        _ => format!("void {name}(void) {{}}\n"),
    };
    symbols.map(each).collect()
}

#[test]
fn only_the_right_library_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let shim = library().with_file_name("libhippocamp_torch.so");
    let with_shim = |library: &Path| Settings { shim: Some(shim.clone()), ..Settings::new(library) };

    let place = folder.join("libtorch_cpu.so");
    assert_eq!(refused(with_shim(&place)), "No such file or directory (os error 2)");
    assert_eq!(refused(with_shim(folder)), "it is not a file");
    std::fs::write(&place, "nothing of the kind").unwrap();
    assert_eq!(refused(with_shim(&place)), "it is not a shared library");
    let head = hippocamp_files::head(&library(), 1 << 20).unwrap();
    std::fs::write(&place, head).unwrap();
    assert!(refused(with_shim(&place)).starts_with("it is truncated: "));

    let other = compiled(folder, "other", "int answer(void) { return 42; }");
    let expected = "it is not PyTorch, or too old: it has no 'aoti_torch_abi_version'";
    assert_eq!(refused(with_shim(&other)), expected);

    // A shim that is not beside it, is none, or is another version.
    let beside = folder.join("libhippocamp_torch.so");
    let expected =
        format!("the shim '{}' cannot be opened: No such file or directory (os error 2)", beside.display());
    assert_eq!(refused(Settings::new(&other)), expected);
    let named = |shim: &Path| Settings { shim: Some(shim.to_owned()), ..Settings::new(library()) };
    let shown = other.display();
    assert_eq!(
        refused(named(&other)),
        format!("'{shown}' is no shim: it has no 'hippocamp_torch_interface'")
    );
    let of = |name: &str, version: u32, more: &str| {
        let code = format!("unsigned hippocamp_torch_interface(void) {{ return {version}; }} {more}");
        compiled(folder, name, &code)
    };
    let later = of("later", 99, "");
    let expected =
        format!("the shim '{}' has version 99 of its interface, expected 2: build it anew", later.display());
    assert_eq!(refused(named(&later)), expected);
    let hollow = of("hollow", 2, "");
    let expected = format!("the shim '{}' has no 'hippocamp_torch_built_for'", hollow.display());
    assert_eq!(refused(named(&hollow)), expected);
    let early = of("early", 2, &early_functions());
    let expected = format!(
        "it is version 2.15.0, and the shim '{}' was built for 2.8.0: build it anew for that one (scripts/torch-shim --torch \
         FOLDER)",
        early.display()
    );
    assert_eq!(refused(named(&early)), expected);

    let missing = Settings::not_found(vec![folder.join("a"), folder.join("b")]);
    let error = PyTorchBackend::new(missing).available().unwrap_err();
    assert!(error.message().starts_with("PyTorch was not found. Version 2.15.0 is expected"), "{error}");
    assert!(error.message().contains(&format!("{}/b", folder.display())), "{error}");

    let right = PyTorchBackend::new(Settings::new(library()));
    right.available().unwrap();
    assert!(refused(with_shim(&place)).starts_with("this process already uses '"));
    right.available().unwrap();
}
