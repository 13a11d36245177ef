//! The first version of KServe's protocol: `{"instances": [...]}` to `{"predictions": [...]}`.

use serde_json::{Value, json};

use crate::Failure;

/// The rows of a request.
pub(crate) fn instances(text: &[u8]) -> Result<Vec<Value>, Failure> {
    let wrong = |why: &str| {
        Failure::bad_request(format!("the body was expected to be {{\"instances\": [...]}} in JSON: {why}"))
    };
    let value: Value = serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))?;
    match value {
        Value::Object(mut members) => match members.remove("instances") {
            Some(Value::Array(rows)) if !rows.is_empty() => Ok(rows),
            Some(_) => Err(wrong("'instances' is no list, or an empty one")),
            None => Err(wrong("there is no 'instances'")),
        },
        _ => Err(wrong("it is no object")),
    }
}

/// The answer.
pub(crate) fn predictions(rows: &[Value]) -> String {
    crate::failure::pretty(&json!({ "predictions": rows })).trim_end().to_owned()
}
