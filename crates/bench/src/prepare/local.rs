//! From the command line to a request that a model in this process has answered once.

use std::sync::Arc;

use hippocamp_client::{Failure, Headers, Metadata, Result, TensorInfo};
use hippocamp_core::{InferenceServer, TensorMetadata};

use super::{Prepared, Ready, SEED, plan, prepare_request, send_once, target};
use crate::args::BenchArgs;
use crate::message::{Encoder, Encoding};
use crate::plan::Transport;

/// Makes the request for a model of a server in this process, and asks it once.
pub(crate) async fn prepare_local(args: &BenchArgs, server: &InferenceServer) -> Result<Ready> {
    let version = match args.model_version.as_deref().map(str::parse) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(Failure::new("--version was expected to be a number")),
    };
    let failed = |error: hippocamp_backend::Error| Failure::new(error.to_string());
    let metadata = server.model_metadata(args.model(), version).await.map_err(failed)?;
    let metadata = Metadata { inputs: infos(metadata.inputs), outputs: infos(metadata.outputs) };
    let Prepared { request, .. } = prepare_request(args, &metadata, SEED)?;
    let model = server.model(args.model(), version).map_err(failed)?;
    let encoder = Encoder {
        encoding: Encoding::Local,
        authority: "this process".to_owned(),
        headers: Headers::default(),
        target: target(args),
        request,
        memory: None,
        plain: None,
    };
    let plan = Arc::new(plan(args, Transport::Local(model), encoder));
    send_once(&plan).await?;
    Ok(Ready { plan, server: None })
}

fn infos(tensors: Vec<TensorMetadata>) -> Vec<TensorInfo> {
    let info = |tensor: TensorMetadata| TensorInfo {
        name: tensor.name.to_string(),
        data_type: tensor.data_type,
        shape: tensor.shape.iter().copied().collect(),
    };
    tensors.into_iter().map(info).collect()
}
