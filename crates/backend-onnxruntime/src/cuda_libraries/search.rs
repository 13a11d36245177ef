//! Where the libraries of CUDA may be, and which package has each.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How far above ONNX Runtime's library the packages of Python may be: `site-packages/onnxruntime/capi`.
const DEPTH: usize = 3;

/// The folders that libraries are looked for in, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Those that were `given`, with the folders of wheels within them; the folder of ONNX Runtime; and the wheels in what is
    /// above that.
    pub(super) fn new(runtime: &Path, given: &[PathBuf]) -> Folders {
        let mut folders = Vec::new();
        for folder in given {
            folders.push(folder.clone());
            folders.extend(wheels(folder));
        }
        folders.push(runtime.to_owned());
        folders.extend(runtime.ancestors().take(DEPTH).flat_map(wheels));
        Folders(folders)
    }

    /// The file of that name in the first folder that has one.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        self.0.iter().map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    /// The name, with the major version, of the first library with that stem: `libcudnn.so.9` of `libcudnn.so`.
    pub(super) fn name_of(&self, stem: &str) -> Option<String> {
        let is_versioned = |name: &String| {
            let version = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
            version.is_some_and(|version| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()))
        };
        self.0.iter().find_map(|folder| {
            let names = fs::read_dir(folder).ok()?.flatten();
            let mut names: Vec<String> =
                names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            names.retain(is_versioned);
            names.into_iter().max()
        })
    }
}

impl fmt::Display for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, folder) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}'{}'", folder.display())?;
        }
        Ok(())
    }
}

/// The folders `nvidia/*/lib` of a folder, in the order of their names.
fn wheels(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("nvidia")) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path().join("lib")).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders
}

/// The Python package that has the library; `None` for one of the driver.
pub(super) fn package(name: &str) -> Option<String> {
    let (stem, version) = name.split_once(".so").unwrap_or((name, ""));
    // The wheels of cuDNN are made for a version of CUDA, which the library's own version does not tell.
    let package = match stem {
        "libcuda" | "libnvidia-ml" => return None,
        "libcublas" | "libcublasLt" => "cublas",
        "libcudart" => "cuda-runtime",
        "libcurand" => "curand",
        "libcufft" => "cufft",
        "libnvrtc" => "cuda-nvrtc",
        "libnvJitLink" => "nvjitlink",
        "libcusparse" => "cusparse",
        "libcusolver" => "cusolver",
        stem if stem.starts_with("libcudnn") => return Some("nvidia-cudnn-cu13".to_owned()),
        // Its extra has whatever it needs.
        _ => return Some("onnxruntime-gpu[cuda,cudnn]".to_owned()),
    };
    // Up to CUDA 12 their names have its version.
    let suffix = if version == ".12" && stem != "libcufft" { "-cu12" } else { "" };
    Some(format!("nvidia-{package}{suffix}"))
}
