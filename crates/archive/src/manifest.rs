//! `MAR-INF/MANIFEST.json`.

use serde::Deserialize;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The name that the model has unless it is registered by another one.
    pub model_name: String,
    /// The version, which is any text; `1.0` where the archive says none, as in TorchServe.
    pub model_version: String,
    /// What the handler is run by, such as `python`.
    pub runtime: String,
    /// The entry with the weights or the whole model.
    pub serialized_file: Option<String>,
    /// The name of a handler of TorchServe, or `FILE.py`, or `FILE.py:FUNCTION`.
    pub handler: Option<String>,
    /// The Python file with the model's architecture, for weights that are nothing else.
    pub model_file: Option<String>,
    /// The YAML file with the model's settings.
    pub config_file: Option<String>,
}

#[derive(Deserialize)]
struct File {
    runtime: Option<String>,
    model: Option<Model>,
}

/// The names are those of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "each is the member of that name")]
struct Model {
    model_name: Option<String>,
    model_version: Option<Version>,
    serialized_file: Option<String>,
    handler: Option<String>,
    model_file: Option<String>,
    config_file: Option<String>,
}

/// A version is a text; hand-written manifests have a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Text(String),
    Number(serde_json::Number),
}

impl Manifest {
    /// Reads a manifest. The error says what is missing or wrong.
    pub(crate) fn parse(text: &str) -> Result<Manifest, String> {
        let File { runtime, model } = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| format!("its MANIFEST.json is not what torch-model-archiver writes: {error}"))?;
        let missing = |member: &str| format!("its MANIFEST.json has no '{member}'");
        let model = model.ok_or_else(|| missing("model"))?;
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let model_name = filled(model.model_name).ok_or_else(|| missing("model.modelName"))?;
        check_name(&model_name)?;
        let model_version = match model.model_version {
            None => "1.0".to_owned(),
            Some(Version::Text(text)) => text,
            Some(Version::Number(number)) => number.to_string(),
        };
        if model_version.is_empty()
            || model_version.len() > 64
            || model_version.contains(['/', '\\'])
            || model_version.contains(char::is_control)
        {
            return Err("its MANIFEST.json has a 'model.modelVersion' that is no version".to_owned());
        }
        Ok(Manifest {
            model_name,
            model_version,
            runtime: filled(runtime).ok_or_else(|| missing("runtime"))?,
            serialized_file: filled(model.serialized_file),
            handler: filled(model.handler),
            model_file: filled(model.model_file),
            config_file: filled(model.config_file),
        })
    }
}

/// The rule of torch-model-archiver for names, except that here a name may begin with a digit, as names in URLs may.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.chars().all(fits) && !name.starts_with('.') && name.len() <= 200 {
        return Ok(());
    }
    let end = name.floor_char_boundary(80);
    let name = name[..end].escape_debug();
    Err(format!(
        "its MANIFEST.json has the 'model.modelName' '{name}', expected letters, digits, '_', '-' and '.'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_archiver_writes() {
        let text = r#"{"createdOn": "x", "runtime": "python", "model": {"modelName": "echo", "serializedFile": "m.pt",
            "handler": "echo.py", "modelVersion": "1.0"}, "archiverVersion": "0.12.0"}"#;
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!((&*manifest.model_name, &*manifest.model_version), ("echo", "1.0"));
        assert_eq!(manifest.handler.as_deref(), Some("echo.py"));
        assert_eq!(Manifest::parse(&text.replace("\"1.0\"", "2")).unwrap().model_version, "2");
        let without = Manifest::parse(&text.replace(", \"modelVersion\": \"1.0\"", "")).unwrap();
        assert_eq!(without.model_version, "1.0");
    }

    #[test]
    fn says_what_is_missing() {
        let cases = [
            ("", "torch-model-archiver"),
            ("[]", "torch-model-archiver"),
            ("{}", "no 'model'"),
            (r#"{"model": {}}"#, "no 'model.modelName'"),
            (r#"{"model": {"modelName": "a", "modelVersion": "1"}}"#, "no 'runtime'"),
            (r#"{"runtime": "p", "model": {"modelName": "../a", "modelVersion": "1"}}"#, "'../a'"),
            (r#"{"runtime": "p", "model": {"modelName": "a", "modelVersion": "1/2"}}"#, "no version"),
        ];
        for (text, expected) in cases {
            let fault = Manifest::parse(text).unwrap_err();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }
}
