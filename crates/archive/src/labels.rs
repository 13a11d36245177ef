//! The names of classes, among an archive's extra files.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Archive;
use crate::fault::Result;

/// The file, as TorchServe's handlers name it.
pub(crate) const LABELS: &str = "index_to_name.json";

/// The most classes that have names.
const MAX_CLASSES: usize = 1 << 20;

/// The names of the classes as lines: `{"0": "cat"}`, or `{"0": ["n0123", "cat"]}` of `ImageNet`, or `{"object_type_names": ["cat"]}`. As
/// in `TorchServe` any other file is a fault, and a key that is no number is that of no class.
pub(crate) fn labels(archive: &Archive) -> Result<Option<String>> {
    let Some(text) = archive.text(LABELS) else { return Ok(None) };
    let fault = |found: String| {
        archive.fault(format!(
            "its {LABELS} was expected to be an object of numbers and names, as {{\"0\": \"cat\"}}: {found}"
        ))
    };
    let map: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    let named: Vec<(String, &Value)> = match map.get("object_type_names") {
        Some(Value::Array(names)) => {
            names.iter().enumerate().map(|(index, name)| (index.to_string(), name)).collect()
        }
        _ => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
    };
    let mut lines = Vec::new();
    for (key, value) in named {
        let name = match value {
            Value::Array(forms) => forms.last().and_then(Value::as_str),
            value => value.as_str(),
        };
        let name = name.ok_or_else(|| fault(format!("'{}' has no name", key.escape_debug())))?;
        let Ok(index) = key.parse::<usize>() else { continue };
        if index >= MAX_CLASSES {
            return Err(fault(format!("it has a class {index}, {MAX_CLASSES} are allowed")));
        }
        if lines.len() <= index {
            lines.resize(index + 1, String::new());
        }
        lines[index] = name.replace(char::is_control, " ");
    }
    Ok(Some(lines.join("\n") + "\n"))
}
