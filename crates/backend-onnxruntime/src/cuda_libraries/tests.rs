use std::fs;

use super::search::{Folders, package};
use super::*;

fn file(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, b"").unwrap();
    file
}

#[test]
fn wheels_are_found_beside_the_package_and_given_folders_come_first() {
    let site = tempfile::tempdir().unwrap();
    let site = site.path();
    let runtime = site.join("onnxruntime/capi");
    file(&runtime, "libonnxruntime.so.1.31.1");
    let cublas = file(site, "nvidia/cu13/lib/libcublas.so.13");
    let cudnn = file(site, "nvidia/cudnn/lib/libcudnn.so.9");
    file(site, "nvidia/cudnn/lib/libcudnn_ops.so.9");
    let folders = Folders::new(&runtime, &[]);
    assert_eq!(folders.find("libcublas.so.13"), Some(cublas));
    assert_eq!(folders.find("libcublas.so.12"), None);
    assert_eq!(folders.name_of("libcudnn.so").as_deref(), Some("libcudnn.so.9"));
    assert_eq!(folders.name_of("libnvrtc.so"), None);

    let other = site.join("other");
    let given = file(&other, "libcublas.so.13");
    let folders = Folders::new(&runtime, std::slice::from_ref(&other));
    assert_eq!(folders.find("libcublas.so.13"), Some(given));
    assert_eq!(folders.find("libcudnn.so.9"), Some(cudnn));
    assert!(folders.to_string().starts_with(&format!("'{}', '", other.display())));
    // A folder of packages can be given as well as one of libraries.
    let elsewhere = tempfile::tempdir().unwrap();
    let folders = Folders::new(elsewhere.path(), &[site.to_owned()]);
    assert!(folders.find("libcublas.so.13").is_some());
}

#[test]
fn each_library_names_its_package() {
    let got = [
        "libcublasLt.so.13",
        "libcudart.so.13",
        "libcudart.so.12",
        "libcufft.so.12",
        "libcudnn.so.9",
        "libcuda.so.1",
    ];
    let got = got.map(|name| package(name).unwrap_or_else(|| "driver".to_owned()));
    let expected = [
        "nvidia-cublas",
        "nvidia-cuda-runtime",
        "nvidia-cuda-runtime-cu12",
        "nvidia-cufft",
        "nvidia-cudnn-cu13",
        "driver",
    ];
    assert_eq!(got, expected);
}

#[test]
fn a_library_without_the_provider_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let library = file(folder.path(), "libonnxruntime.so");
    assert!(!has_provider(&library));
    let error = open("m", &library, &[]).unwrap_err();
    let text = error.message();
    assert!(text.starts_with("unable to load model 'm', its config asks for CUDA, and '"), "{text}");
    assert!(text.contains("pip install onnxruntime-gpu"), "{text}");
    file(folder.path(), PROVIDER);
    assert!(has_provider(&library));
}

#[test]
fn a_missing_library_is_named_with_its_package_and_the_places() {
    let missing = Missing { name: "libcublas.so.13".to_owned(), why: "no such file".to_owned() };
    let text = missing.error("m", "'/a', '/b'").message().to_owned();
    assert_eq!(
        text,
        "unable to load model 'm', its config asks for CUDA, of which 'libcublas.so.13' cannot be opened (no such file): get \
         it with 'pip install nvidia-cublas' beside ONNX Runtime, or name its folder with \
         --backend-config=onnxruntime,cuda-libraries=PATH. It was looked for in '/a', '/b', and by the loader"
    );
    let missing = Missing { name: "libcuda.so.1".to_owned(), why: "no such file".to_owned() };
    assert!(missing.error("m", "no folder").message().contains("belongs to NVIDIA's driver"));
}

#[test]
fn what_is_needed_is_opened_before_what_needs_it() {
    let mut opening = Opening { folders: Folders::new(Path::new("/nowhere"), &[]), done: BTreeSet::new() };
    let missing = opening.open("libcublas.so.4711").unwrap_err();
    assert_eq!(missing.name, "libcublas.so.4711");
    assert!(!missing.why.is_empty());
}
