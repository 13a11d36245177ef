//! The repository extension: index, load, unload.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{InferenceServer, LoadOverrides, State};
use hippocamp_proto::inference::model_repository_parameter::ParameterChoice;
use hippocamp_proto::inference::repository_index_response::ModelIndex;
use hippocamp_proto::inference::{
    RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest, RepositoryModelUnloadRequest,
};

use crate::parameters::wrong_type;

pub(crate) async fn index(
    server: &Arc<InferenceServer>,
    request: &RepositoryIndexRequest,
    grant: Grant,
) -> Result<RepositoryIndexResponse> {
    no_repository_name(&request.repository_name)?;
    let (server, ready) = (Arc::clone(server), request.ready);
    // It looks at the disk, or further.
    let looked = tokio::task::spawn_blocking(move || server.index(ready)).await;
    let entries = looked.map_err(|e| Error::internal("the index could not be read").with_source(e))?;
    let entries = entries.into_iter().filter(|entry| grant.covers(&entry.name)).map(|entry| {
        let mut index = ModelIndex { name: entry.name, ..ModelIndex::default() };
        if let Some((version, state)) = entry.version {
            index.version = version.to_string();
            state.state.name().clone_into(&mut index.state);
            index.reason = state.reason;
        } else if let Some(reason) = entry.unavailable {
            State::Unavailable.name().clone_into(&mut index.state);
            reason.clone_into(&mut index.reason);
        }
        index
    });
    Ok(RepositoryIndexResponse { models: entries.collect() })
}

/// Puts the name of a model where Triton has it. KServe's messages of the same names for load and unload have the model's name
/// in the first field, which is that of a repository in Triton and is not supported there.
pub(crate) fn name_of_kserve(repository_name: &mut String, model_name: &mut String) {
    if model_name.is_empty() {
        std::mem::swap(repository_name, model_name);
    }
}

pub(crate) async fn load(server: &Arc<InferenceServer>, request: RepositoryModelLoadRequest) -> Result<()> {
    no_repository_name(&request.repository_name)?;
    let mut overrides = LoadOverrides::default();
    for (name, value) in request.parameters {
        match (name.as_str(), value.parameter_choice) {
            ("config", Some(ParameterChoice::StringParam(config))) => overrides.config = Some(config),
            ("config", _) => return Err(wrong_load_type("config", "string_param")),
            (name, value) => match name.strip_prefix("file:") {
                Some(path) => overrides.files.push((path.to_owned(), file(name, value)?)),
                None => return Err(Error::invalid_arg(format!("unrecognized load parameter '{name}'."))),
            },
        }
    }
    server.load(&request.model_name, overrides).await
}

fn file(name: &str, value: Option<ParameterChoice>) -> Result<Bytes> {
    match value {
        Some(ParameterChoice::BytesParam(content)) => Ok(content),
        _ => Err(wrong_load_type(name, "bytes_param")),
    }
}

#[cold]
fn wrong_load_type(name: &str, expected: &str) -> Error {
    Error::invalid_arg(format!("invalid value type for load parameter '{name}', expected {expected}."))
}

pub(crate) async fn unload(
    server: &Arc<InferenceServer>,
    request: RepositoryModelUnloadRequest,
) -> Result<()> {
    no_repository_name(&request.repository_name)?;
    let mut dependents = false;
    for (name, value) in request.parameters {
        match (name.as_str(), value.parameter_choice) {
            ("unload_dependents", Some(ParameterChoice::BoolParam(asked))) => dependents = asked,
            ("unload_dependents", _) => return Err(wrong_type("unload_dependents", "bool_param")),
            _ => {}
        }
    }
    server.unload(&request.model_name, dependents).await
}

fn no_repository_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported("'repository_name' specification is not supported"))
}
