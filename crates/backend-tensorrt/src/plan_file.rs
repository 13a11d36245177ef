//! A plan on disk: which file it is, and what its first bytes say.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use hippocamp_backend::{Error, ModelSource, Result};
use hippocamp_tensorrt_sys::{Product, Version};

/// The file that is loaded if the config names none.
pub(crate) const DEFAULT_FILE: &str = "model.plan";

/// The plan for a GPU of this compute capability: the one that `cc_model_filenames` names for it, as `9.0`, or else
/// `default_model_filename`, or else `model.plan`.
pub(crate) fn path(source: &ModelSource, compute_capability: (u32, u32)) -> Result<PathBuf> {
    let config = &source.config;
    let (major, minor) = compute_capability;
    let by_capability = config.cc_model_filenames.get(&format!("{major}.{minor}"));
    let (field, name) = match (by_capability, config.default_model_filename.as_str()) {
        (Some(name), _) => ("cc_model_filenames", name.as_str()),
        (None, "") => ("default_model_filename", DEFAULT_FILE),
        (None, name) => ("default_model_filename", name),
    };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) || name.contains('\0') {
        return Err(Error::invalid_arg(format!(
            "unable to load model '{}', {field} was expected to name a file in the version's folder, got '{name}'",
            source.name
        )));
    }
    Ok(source.version_directory.join(name))
}

/// Reads the whole plan.
pub(crate) fn read(model: &str, path: &Path, compute_capability: (u32, u32)) -> Result<Vec<u8>> {
    let failed = |what: &str, error: std::io::Error| {
        let (major, minor) = compute_capability;
        Error::internal(format!(
            "unable to load model '{model}', {what} '{}', the plan for GPUs of compute capability {major}.{minor}",
            path.display()
        ))
        .with_source(error)
    };
    let mut file = File::open(path).map_err(|e| failed("cannot open", e))?;
    let metadata = file.metadata().map_err(|e| failed("failed to stat file", e))?;
    if !metadata.is_file() {
        return Err(Error::internal(format!("'{}' of model '{model}' is not a file", path.display())));
    }
    let mut plan = Vec::new();
    plan.try_reserve_exact(metadata.len() as usize).map_err(|_| {
        Error::unavailable(format!("there is no memory for the {} bytes of model '{model}'", metadata.len()))
    })?;
    file.read_to_end(&mut plan).map_err(|e| failed("cannot read", e))?;
    Ok(plan)
}

/// What a plan's first bytes say of who built it. The format is not documented: what is read here only decides which library
/// is tried first, and makes messages better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A plan of that product and version.
    Built(Product, Version),
    /// It begins like no plan.
    Unknown,
}

impl Header {
    pub(crate) fn of(plan: &[u8]) -> Header {
        let product = match plan.get(..4) {
            Some(b"ftrt") => Product::TensorRt,
            Some(b"vtrt") => Product::TensorRtRtx,
            _ => return Header::Unknown,
        };
        let [major, minor, patch, ..] = plan.get(24..).unwrap_or_default() else { return Header::Unknown };
        let version = Version { major: (*major).into(), minor: (*minor).into(), patch: (*patch).into() };
        Header::Built(product, version)
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Where the bytes mean something else than is thought, no version comes of them.
            Header::Built(product, version) if (1..=99).contains(&version.major) => {
                write!(f, "it was built by {product} {version}")
            }
            Header::Built(product, _) => write!(f, "it was built by {product}"),
            Header::Unknown => f.write_str("it does not begin like a plan"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hippocamp_model_config::{ModelConfig, parse};

    use super::*;

    fn source(config: &str) -> ModelSource {
        let config: ModelConfig = parse(config, "config.pbtxt").unwrap().config;
        ModelSource {
            name: "m".into(),
            version: 1,
            model_directory: "/m".into(),
            version_directory: "/m/1".into(),
            config: Arc::new(config),
        }
    }

    #[test]
    fn the_file_is_chosen_by_compute_capability() {
        let named = source(
            "cc_model_filenames { key: \"9.0\" value: \"hopper.plan\" } default_model_filename: \"other.plan\"",
        );
        assert_eq!(path(&named, (9, 0)).unwrap(), Path::new("/m/1/hopper.plan"));
        assert_eq!(path(&named, (8, 6)).unwrap(), Path::new("/m/1/other.plan"));
        assert_eq!(path(&source(""), (8, 6)).unwrap(), Path::new("/m/1/model.plan"));
        let outside = source("cc_model_filenames { key: \"9.0\" value: \"../x\" }");
        assert_eq!(
            path(&outside, (9, 0)).unwrap_err().message(),
            "unable to load model 'm', cc_model_filenames was expected to name a file in the version's folder, got '../x'"
        );
    }

    #[test]
    fn the_first_bytes_say_who_built_a_plan() {
        let mut plan = [0; 32];
        plan[..4].copy_from_slice(b"vtrt");
        plan[24..28].copy_from_slice(&[1, 7, 1, 116]);
        assert_eq!(Header::of(&plan).to_string(), "it was built by TensorRT for RTX 1.7.1");
        plan[..4].copy_from_slice(b"ftrt");
        plan[24] = 0;
        assert_eq!(Header::of(&plan).to_string(), "it was built by TensorRT");
        assert_eq!(Header::of(b"ftrt"), Header::Unknown);
        assert_eq!(Header::of(b"onnx").to_string(), "it does not begin like a plan");
    }
}
