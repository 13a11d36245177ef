//! Where libraries are, and what their names say.

use std::path::{Path, PathBuf};

use crate::Product;

/// A library that was found, and what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Which product it is of.
    pub product: Product,
    /// Its major version.
    pub major: u32,
    /// The smaller, the more it can do: 0 is a full library, which can also build plans.
    pub rank: u8,
}

/// The names of the libraries, those that can do more first.
const NAMES: [(&str, Product, u8); 4] = [
    ("libnvinfer.so.", Product::TensorRt, 0),
    ("libnvinfer_lean.so.", Product::TensorRt, 1),
    ("libnvinfer_dispatch.so.", Product::TensorRt, 2),
    ("libtensorrt_rtx.so.", Product::TensorRtRtx, 0),
];

/// The libraries of TensorRT in these folders: the full ones first, and the newest first.
pub fn find_libraries(folders: &[PathBuf]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(library) = name.to_str().and_then(|name| named(name, &entry.path())) else { continue };
            let is_known = |known: &Found| {
                (known.product, known.major, known.rank) == (library.product, library.major, library.rank)
            };
            if !found.iter().any(is_known) && library.path.is_file() {
                found.push(library);
            }
        }
    }
    found.sort_by_key(|library| {
        (library.product == Product::TensorRtRtx, library.rank, std::cmp::Reverse(library.major))
    });
    found
}

fn named(name: &str, path: &Path) -> Option<Found> {
    NAMES.iter().find_map(|(prefix, product, rank)| {
        let major = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
        Some(Found { path: path.to_owned(), product: *product, major, rank: *rank })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_do_more_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libnvinfer_lean.so.11",
            "libnvinfer_lean.so.10",
            "libtensorrt_rtx.so.1",
            "libnvinfer.so.10.16.1",
            "libnvinfer.so",
            "libnvinfer_vc_plugin.so.11",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = find_libraries(&["/nowhere".into(), folder.path().to_owned()]);
        let names: Vec<_> =
            found.iter().map(|each| each.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "libnvinfer.so.10.16.1",
                "libnvinfer_lean.so.11",
                "libnvinfer_lean.so.10",
                "libtensorrt_rtx.so.1"
            ]
        );
    }
}
