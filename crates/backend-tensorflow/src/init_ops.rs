//! The nodes that a model's config has run once after loading: `TF_INIT_OPS_FILE` names a file with them.

use std::path::{Component, Path};

use hippocamp_backend::{Error, ModelSource, Result};

use crate::ffi::session::{RunSettings, Session};

/// Runs the nodes that the file names. It is in the version's folder, or else in the model's.
pub(crate) fn run(source: &ModelSource, file: &str, session: &Session, settings: &RunSettings) -> Result<()> {
    let model = &*source.name;
    let refused = |why: String| {
        Error::invalid_arg(format!(
            "unable to load model '{model}', the file '{file}' of TF_INIT_OPS_FILE {why}"
        ))
    };
    if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(refused("was expected to be in the version's folder or the model's".to_owned()));
    }
    let beside = source.version_directory.join(file);
    let path = if beside.is_file() { beside } else { source.model_directory.join(file) };
    let text = hippocamp_files::read_text(&path, hippocamp_files::TEXT_LIMIT);
    let text = text.map_err(|error| refused(format!("cannot be read: {error}")))?;
    let names = names(&text).ok_or_else(|| {
        refused("was expected to be an object with a list of names 'init_ops', and nothing else".to_owned())
    })?;
    let nodes = names.iter().map(|name| {
        let missing = || refused(format!("names '{name}', which is not in the graph"));
        session.graph.operation(name).ok_or_else(missing)
    });
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    if nodes.is_empty() {
        return Ok(());
    }
    let outcome = session.run(settings, &[], &[], &nodes);
    outcome.map(drop).map_err(|fault| fault.of_load(model, "its initialization fails"))
}

fn names(text: &str) -> Option<Vec<String>> {
    let content: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let names = content.get("init_ops").filter(|_| content.len() == 1)?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list_and_nothing_else() {
        assert_eq!(names(r#"{"init_ops": ["a", "b"]}"#), Some(vec!["a".into(), "b".into()]));
        for other in
            ["", "[]", "{}", r#"{"init_ops": "a"}"#, r#"{"init_ops": [1]}"#, r#"{"init_ops": [], "x": 1}"#]
        {
            assert_eq!(names(other), None, "{other}");
        }
    }
}
