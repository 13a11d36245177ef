//! Health: of the server, and of a model.
//!
//! The status says it all, and most clients look no further. KServe's own read the body.

use hippocamp_core::InferenceServer;
use hyper::{Response, StatusCode};

use crate::response::{self, ResponseBody};
use crate::router::ModelPath;
use hippocamp_http_content::json::JsonWriter;

/// 200 with `{"live":true}`, or 400 with `{"live":false}`; `what` is the member.
pub(crate) fn health(what: &str, is_well: bool) -> Response<ResponseBody> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name(what);
    writer.boolean(is_well);
    writer.close_object();
    let mut response = response::json(writer.into_bytes());
    if !is_well {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

/// A model that is not known is not ready, just like one that failed to load.
pub(crate) async fn model_ready(server: &InferenceServer, path: &ModelPath<'_>) -> Response<ResponseBody> {
    if !server.is_model_ready(&path.name, path.version).await {
        return response::failed(StatusCode::BAD_REQUEST, "Model version not ready");
    }
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("name");
    writer.string(path.name.as_bytes());
    writer.name("ready");
    writer.boolean(true);
    writer.close_object();
    response::json(writer.into_bytes())
}
