//! The metadata extension for models.

use std::sync::Arc;

use hippocamp_backend::Result;
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{DataType, Shape};

use crate::InferenceServer;

/// A model's metadata.
#[derive(Clone, Debug)]
pub struct ModelMetadata {
    pub name: Arc<str>,
    /// The serving versions, lowest first; only the requested version if the client named one.
    pub versions: Vec<u64>,
    /// The config's platform or, if it has none, its backend.
    pub platform: String,
    pub inputs: Vec<TensorMetadata>,
    pub outputs: Vec<TensorMetadata>,
}

/// An input or output as clients see it. If the model has a batch dimension, it is the first dimension, -1.
#[derive(Clone, Debug)]
pub struct TensorMetadata {
    pub name: Arc<str>,
    pub data_type: DataType,
    pub shape: Shape,
}

impl InferenceServer {
    /// The metadata of the given version, or with `None` of the highest that serves. A lazily loaded model is loaded first.
    ///
    /// # Errors
    /// As of [`InferenceServer::model_or_load`].
    pub async fn model_metadata(&self, name: &str, version: Option<u64>) -> Result<ModelMetadata> {
        let model = self.model_or_load(name, version).await?;
        let mut versions: Vec<u64> = match version {
            Some(version) => vec![version],
            None => self.ready_versions(name).iter().map(|model| model.version).collect(),
        };
        if versions.is_empty() {
            // The model may have been evicted again since it was found.
            versions.push(model.version);
        }
        let config = &model.config;
        let platform = if config.platform.is_empty() { &config.backend } else { &config.platform };
        let batched = model.interface.max_batch_size > 0;
        let tensors = |specs: &[TensorSpec]| specs.iter().map(|spec| tensor(spec, batched)).collect();
        Ok(ModelMetadata {
            name: Arc::clone(&model.name),
            versions,
            platform: platform.clone(),
            inputs: tensors(&model.interface.inputs),
            outputs: tensors(&model.interface.outputs),
        })
    }
}

fn tensor(spec: &TensorSpec, batched: bool) -> TensorMetadata {
    let shape = if batched && !spec.is_shape_tensor { spec.dims.with_batch(-1) } else { spec.dims.clone() };
    TensorMetadata { name: Arc::clone(&spec.name), data_type: spec.data_type, shape }
}
