//! The descriptions of the API, in OpenAPI 3.

use serde_json::{Map, Value, json};

use crate::Parts;

const INFERENCE: [(&str, &[&str]); 5] = [
    ("/ping", &["get"]),
    ("/predictions/{model_name}", &["post"]),
    ("/predictions/{model_name}/{model_version}", &["post"]),
    ("/v1/models/{model_name}:predict", &["post"]),
    ("/v2/models/{model_name}/infer", &["post"]),
];

const MANAGEMENT: [(&str, &[&str]); 4] = [
    ("/models", &["get", "post"]),
    ("/models/{model_name}", &["get", "put", "delete"]),
    ("/models/{model_name}/{model_version}", &["get", "put", "delete"]),
    ("/models/{model_name}/{model_version}/set-default", &["put"]),
];

/// The paths of a port.
pub(crate) fn description(parts: Parts) -> String {
    let mut paths = Map::new();
    paths.insert("/".to_owned(), operations("/", &["options"]));
    let mut add = |list: &[(&str, &[&str])]| {
        paths.extend(list.iter().map(|(path, methods)| ((*path).to_owned(), operations(path, methods))));
    };
    if parts.inference {
        add(&INFERENCE);
    }
    if parts.management {
        add(&MANAGEMENT);
    }
    add(&[("/api-description", &["get"]), ("/metrics", &["get"])]);
    written(&json!({
        "openapi": "3.0.1",
        "info": {
            "title": "TorchServe APIs",
            "description": "TorchServe's API, served by Hippocamp",
            "version": "0.12.0",
        },
        "paths": paths,
    }))
}

/// The prediction of one model.
pub(crate) fn of_model(name: &str) -> String {
    let path = format!("/predictions/{name}");
    written(&json!({
        "openapi": "3.0.1",
        "info": { "title": format!("RESTful API for: {name}"), "version": "1.0.0" },
        "paths": { path.clone(): operations(&path, &["post"]) },
    }))
}

fn operations(path: &str, methods: &[&str]) -> Value {
    let parameters: Vec<Value> = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| json!({"in": "path", "name": name, "required": true, "schema": {"type": "string"}}))
        .collect();
    let error = json!({"type": "object", "required": ["code", "type", "message"], "properties": {
        "code": {"type": "integer"}, "type": {"type": "string"}, "message": {"type": "string"},
    }});
    let operation = |method: &&str| {
        let id = format!("{method}{}", path.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        let operation = json!({
            "operationId": id,
            "parameters": parameters,
            "responses": {
                "200": {"description": "OK"},
                "default": {"description": "Error", "content": {"application/json": {"schema": error}}},
            },
        });
        ((*method).to_owned(), operation)
    };
    Value::Object(methods.iter().map(operation).collect())
}

fn written(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
