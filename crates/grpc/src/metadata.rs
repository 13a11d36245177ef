//! Metadata of the server and its models, and the configs of models.

use hippocamp_backend::Result;
use hippocamp_core::InferenceServer;
use hippocamp_proto::inference::model_metadata_response::TensorMetadata;
use hippocamp_proto::inference::{
    ModelConfigRequest, ModelConfigResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ServerMetadataResponse,
};

use crate::status::version;

pub(crate) fn server(server: &InferenceServer) -> ServerMetadataResponse {
    let metadata = server.metadata();
    ServerMetadataResponse {
        name: metadata.name,
        version: metadata.version.to_owned(),
        extensions: metadata.extensions.into_iter().map(str::to_owned).collect(),
    }
}

/// An unknown model is not ready, which is no error.
pub(crate) async fn model_ready(server: &InferenceServer, request: &ModelReadyRequest) -> Result<bool> {
    let version = version(&request.version)?;
    Ok(server.is_model_ready(&request.name, version).await)
}

pub(crate) async fn model(
    server: &InferenceServer,
    request: &ModelMetadataRequest,
) -> Result<ModelMetadataResponse> {
    let metadata = server.model_metadata(&request.name, version(&request.version)?).await?;
    let tensors = |tensors: Vec<hippocamp_core::TensorMetadata>| {
        let each = tensors.into_iter().map(|tensor| TensorMetadata {
            name: tensor.name.to_string(),
            datatype: tensor.data_type.protocol_name().to_owned(),
            shape: tensor.shape.to_vec(),
        });
        each.collect()
    };
    Ok(ModelMetadataResponse {
        name: metadata.name.to_string(),
        versions: metadata.versions.iter().map(ToString::to_string).collect(),
        platform: metadata.platform,
        inputs: tensors(metadata.inputs),
        outputs: tensors(metadata.outputs),
    })
}

pub(crate) async fn config(
    server: &InferenceServer,
    request: &ModelConfigRequest,
) -> Result<ModelConfigResponse> {
    let model = server.model_or_load(&request.name, version(&request.version)?).await?;
    Ok(ModelConfigResponse { config: Some(hippocamp_proto::inference::ModelConfig::clone(&model.config)) })
}
