//! Finds the file of a model.

use std::path::{Component, Path, PathBuf};

use hippocamp_backend::{Error, ModelSource, Result};

/// The names of the formats in configs.
pub(crate) const TORCHSCRIPT: &str = "pytorch_libtorch";
pub(crate) const PACKAGE: &str = "torch_aoti";

/// What they are called in a version's folder, unless the config says otherwise.
pub(crate) const TORCHSCRIPT_FILE: &str = "model.pt";
pub(crate) const PACKAGE_FILE: &str = "model.pt2";

/// TorchScript files are zip archives.
const ZIP: &[u8] = b"PK";

/// Finds the file of a version; an error if it does not exist, or is none that can be loaded.
pub(crate) fn find(source: &ModelSource) -> Result<PathBuf> {
    let name = &*source.name;
    let refused = |what: String| Error::invalid_arg(format!("unable to load model '{name}', {what}"));
    let platform = source.config.platform.as_str();
    if platform == PACKAGE {
        return Err(package(name));
    }
    if !["", TORCHSCRIPT, "libtorch"].contains(&platform) {
        return Err(Error::invalid_arg(format!(
            "platform {platform} not supported for PyTorch model '{name}'"
        )));
    }
    let file = match source.config.default_model_filename.as_str() {
        "" => TORCHSCRIPT_FILE,
        file => file,
    };
    let is_below = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below || file.contains('\0') {
        return Err(refused(format!(
            "default_model_filename was expected to name a file in the version's folder, got '{file}'"
        )));
    }
    let path = source.version_directory.join(file);
    if !path.try_exists().unwrap_or(true) {
        return Err(Error::unavailable(format!(
            "unable to find '{}' for model instance '{name}'",
            path.display()
        )));
    }
    let shown = path.display();
    let head = hippocamp_files::head(&path, ZIP.len())
        .map_err(|error| refused(format!("failed to read '{shown}': {error}")).with_source(error))?;
    if head != ZIP {
        return Err(refused(format!(
            "'{shown}' was expected to be a TorchScript model, a zip file as torch.jit.save writes it"
        )));
    }
    Ok(path)
}

#[cold]
fn package(model: &str) -> Error {
    Error::unsupported(format!(
        "unable to load model '{model}', packages of AOTInductor (platform {PACKAGE}, {PACKAGE_FILE}) are not loaded: save it as \
         TorchScript (torch.jit.trace(model, example).save(\"{TORCHSCRIPT_FILE}\")), or export it to ONNX"
    ))
}
