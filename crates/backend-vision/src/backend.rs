//! The backend `vision`.

use std::path::{Component, Path};
use std::sync::Arc;

use hippocamp_backend::{Backend, Error, Model, ModelSource, Result};
use hippocamp_tensor::Allocator;

use crate::VisionModel;

/// The file that is loaded if the config names none.
const DEFAULT_FILE: &str = "pipeline.toml";

/// The largest pipeline file in bytes. Pipelines are written by hand, so a larger file is something else.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// The backend that runs pipelines of image processing steps.
#[derive(Debug, Default)]
pub struct VisionBackend {
    pinned: Option<Arc<dyn Allocator>>,
}

impl VisionBackend {
    /// One that writes tensors for models on a device straight into pinned memory, if this machine has some.
    pub fn with_pinned_memory(pinned: Option<Arc<dyn Allocator>>) -> VisionBackend {
        VisionBackend { pinned }
    }
}

impl Backend for VisionBackend {
    fn name(&self) -> &'static str {
        "vision"
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let file = match source.config.default_model_filename.as_str() {
            "" => DEFAULT_FILE,
            file => file,
        };
        let text = read(source, file)?;
        let folders = [source.version_directory.as_path(), source.model_directory.as_path()];
        let origin = format!("{}/{file}", source.version);
        let name = Arc::clone(&source.name);
        let model = VisionModel::from_text_beside(&folders, name, &origin, &text)?;
        Ok(Box::new(model.with_pinned_memory(self.pinned.clone())))
    }
}

fn read(source: &ModelSource, file: &str) -> Result<String> {
    let refused =
        |text: String| Error::invalid_arg(format!("unable to load model '{}', {text}", source.name));
    if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) || file.contains('\0') {
        return Err(refused(format!(
            "default_model_filename was expected to name a file in the version's folder, got '{file}'"
        )));
    }
    let path = source.version_directory.join(file);
    let unreadable =
        |error| refused(format!("'{}' cannot be read: {error}", path.display())).with_source(error);
    hippocamp_files::read_text(&path, MAX_FILE_SIZE).map_err(unreadable)
}
