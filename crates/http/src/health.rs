//! Health: of the server, and of a model.

use hippocamp_core::InferenceServer;
use hyper::{Response, StatusCode};

use crate::response::{self, ResponseBody};
use crate::router::ModelPath;

/// Says it by the status alone.
pub(crate) fn health(is_well: bool) -> Response<ResponseBody> {
    response::empty(if is_well { StatusCode::OK } else { StatusCode::BAD_REQUEST })
}

/// A model that is not known is not ready, just like one that failed to load.
pub(crate) async fn model_ready(server: &InferenceServer, path: &ModelPath<'_>) -> Response<ResponseBody> {
    if server.is_model_ready(&path.name, path.version).await {
        return response::empty(StatusCode::OK);
    }
    response::failed(StatusCode::BAD_REQUEST, "Model version not ready")
}
