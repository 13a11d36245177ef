//! The OpenAPI document of what this server answers, made of one that has everything.

use serde_json::{Map, Value, json};

use crate::front::HttpFront;

/// Everything, without the paths of single versions, which are those of their models with one parameter more.
const EVERYTHING: &str = include_str!("openapi.json");

/// What of a model is there for each of its versions, too: what follows the path of the model.
const OF_VERSIONS: [&str; 7] = ["", "/ready", "/config", "/stats", "/infer", "/generate", "/generate_stream"];

const MODEL: &str = "/v2/models/{model_name}";

/// The document, without the calls that the server's settings switch off.
pub(crate) fn document(front: &HttpFront) -> Vec<u8> {
    // A test reads it.
    let mut document: Value = serde_json::from_str(EVERYTHING).unwrap_or_default();
    document["info"]["version"] = front.server.metadata().version.into();
    if front.settings.access.is_open() {
        leave_out(&mut document, &["security"]);
        leave_out(&mut document["components"], &["securitySchemes"]);
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.retain(|path, _| is_served(front, path));
        add_versions(paths);
    }
    document.to_string().into_bytes()
}

fn leave_out(of: &mut Value, names: &[&str]) {
    if let Some(members) = of.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// Calls that every client would be refused are not served.
fn is_served(front: &HttpFront, path: &str) -> bool {
    match path.rsplit('/').next() {
        Some("register" | "unregister") => front.server.settings().allow_client_shm,
        Some("load" | "unload") => {
            front.server.settings().control_mode == hippocamp_core::ControlMode::Explicit
        }
        Some("logging") => front.server.log().is_ok(),
        _ => true,
    }
}

fn add_versions(paths: &mut Map<String, Value>) {
    for rest in OF_VERSIONS {
        let Some(mut of_version) = paths.get(&format!("{MODEL}{rest}")).cloned() else { continue };
        if let Some(parameters) = of_version["parameters"].as_array_mut() {
            parameters.push(json!({"$ref": "#/components/parameters/model_version"}));
        }
        for method in ["get", "post"] {
            if let Some(operation) = of_version.get_mut(method) {
                let of = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
                let (id, summary) = (of("operationId"), of("summary"));
                operation["operationId"] = format!("{id}OfVersion").into();
                operation["summary"] = format!("{summary}, in one version").into();
            }
        }
        paths.insert(format!("{MODEL}/versions/{{model_version}}{rest}"), of_version);
    }
}
