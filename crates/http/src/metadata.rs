//! Metadata of the server and its models, and the configs of models.

use hippocamp_core::{InferenceServer, ModelMetadata, TensorMetadata};
use hippocamp_model_config::to_json;
use hyper::Response;

use crate::response::{self, ResponseBody};
use crate::router::ModelPath;
use hippocamp_http_content::json::JsonWriter;

pub(crate) fn server(server: &InferenceServer) -> Response<ResponseBody> {
    let metadata = server.metadata();
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("name");
    writer.string(metadata.name.as_bytes());
    writer.name("version");
    writer.string(metadata.version.as_bytes());
    writer.name("extensions");
    writer.open_array();
    for extension in metadata.extensions {
        writer.string(extension.as_bytes());
    }
    writer.close_array();
    writer.close_object();
    response::json(writer.into_bytes())
}

pub(crate) async fn model(server: &InferenceServer, path: &ModelPath<'_>) -> Response<ResponseBody> {
    match server.model_metadata(&path.name, path.version).await {
        Ok(metadata) => response::json(written(&metadata)),
        Err(error) => response::error(&error),
    }
}

fn written(metadata: &ModelMetadata) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("name");
    writer.string(metadata.name.as_bytes());
    writer.name("versions");
    writer.open_array();
    for version in &metadata.versions {
        writer.string(version.to_string().as_bytes());
    }
    writer.close_array();
    writer.name("platform");
    writer.string(metadata.platform.as_bytes());
    for (name, all) in [("inputs", &metadata.inputs), ("outputs", &metadata.outputs)] {
        writer.name(name);
        writer.open_array();
        for one in all {
            tensor(&mut writer, one);
        }
        writer.close_array();
    }
    writer.close_object();
    writer.into_bytes()
}

fn tensor(writer: &mut JsonWriter, tensor: &TensorMetadata) {
    writer.open_object();
    writer.name("name");
    writer.string(tensor.name.as_bytes());
    writer.name("datatype");
    writer.string(tensor.data_type.protocol_name().as_bytes());
    writer.name("shape");
    writer.shape(&tensor.shape);
    writer.close_object();
}

pub(crate) async fn config(server: &InferenceServer, path: &ModelPath<'_>) -> Response<ResponseBody> {
    match server.model_or_load(&path.name, path.version).await {
        Ok(model) => response::json(to_json(&model.config).into_bytes()),
        Err(error) => response::error(&error),
    }
}
