//! The library that builds, and the one that reads ONNX.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hippocamp_tensorrt_sys::build::ParserLibrary;
use hippocamp_tensorrt_sys::{Library, Product, find_libraries};

use crate::PlanArgs;

/// What to do where there is no builder.
const INSTALL: &str = "install TensorRT 10 or 11 ('pip install tensorrt-cu13', or the packages libnvinfer and libnvonnxparsers of NVIDIA's \
                       repository), or TensorRT for RTX ('pip install tensorrt-rtx-cu13-libs'), or name the library with --library";

/// Opens the library that builds: the one that is named, else the first full one in these folders.
pub(crate) fn builder_library(args: &PlanArgs, folders: &[PathBuf]) -> Result<Library> {
    let found = find_libraries(folders);
    let path = match &args.library {
        Some(named) => named.clone(),
        None => match found.iter().find(|library| library.rank == 0) {
            Some(library) => library.path.clone(),
            None if found.is_empty() => bail!("no library of TensorRT was found: {INSTALL}"),
            None => bail!("'{}' only runs plans; for one that builds, {INSTALL}", found[0].path.display()),
        },
    };
    let library = Library::open(&path)?;
    if !library.can_build() {
        bail!("'{}' ({library}) only runs plans; for one that builds, {INSTALL}", path.display());
    }
    Ok(library)
}

/// Opens the library that reads ONNX, of the same version.
pub(crate) fn parser_library(
    args: &PlanArgs,
    library: &Library,
    folders: &[PathBuf],
) -> Result<ParserLibrary> {
    let (name, package) = match library.product() {
        Product::TensorRt => ("libnvonnxparser.so", "tensorrt-cu13 (or libnvonnxparsers)"),
        Product::TensorRtRtx => ("libtensorrt_onnxparser_rtx.so", "tensorrt-rtx-cu13-libs"),
    };
    let name = format!("{name}.{}", library.version().major);
    let path = args.parser.clone().or_else(|| {
        let beside = library.path().parent().map(Path::to_owned);
        beside.iter().chain(folders).map(|folder| folder.join(&name)).find(|path| path.is_file())
    });
    let path = path.with_context(|| {
        format!("'{name}', which reads ONNX for {library}, was not found: it comes with {package}; or name it with --parser")
    })?;
    Ok(ParserLibrary::open(&path)?)
}
