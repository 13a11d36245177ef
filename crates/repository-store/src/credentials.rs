//! Where credentials come from: the environment, or Triton's credential file.

use std::fmt;
use std::path::Path;

use hippocamp_files as files;
use serde_json::{Map, Value};

use crate::StoreLocation;

/// Looks up an environment variable. Passed in, so that this crate reads nobody's environment.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A text that is not shown when its owner is printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// A variable that is set to something.
pub(crate) fn variable(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).filter(|value| !value.is_empty())
}

/// What the credential file says for one location: the value under the longest name that the location begins with.
/// `None` if no credential file is named.
pub(crate) fn from_file(location: &StoreLocation, variables: Variables<'_>) -> Result<Option<Value>, String> {
    let Some(path) = variable(variables, "TRITON_CLOUD_CREDENTIAL_PATH") else { return Ok(None) };
    let text = files::read_text(Path::new(&path), files::TEXT_LIMIT)
        .map_err(|e| format!("failed to read '{path}', which TRITON_CLOUD_CREDENTIAL_PATH names: {e}"))?;
    // The parser's own text could repeat a secret.
    let file: Value = serde_json::from_str(&text)
        .map_err(|e| format!("'{path}' is not JSON: line {}, column {}", e.line(), e.column()))?;
    matching(&file, location).map(Some).map_err(|reason| format!("'{path}' {reason}"))
}

fn matching(file: &Value, location: &StoreLocation) -> Result<Value, String> {
    let scheme = location.url.split("://").next().unwrap_or_default();
    let entries = match file.get(scheme) {
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(format!("should have an object under '{scheme}'")),
        None => return Err(format!("has nothing under '{scheme}'")),
    };
    let fits = entries.iter().filter(|(name, _)| location.url.starts_with(name.as_str()));
    let longest = fits.max_by_key(|(name, _)| name.len());
    longest.map(|(_, value)| value.clone()).ok_or_else(|| {
        format!(
            "has no entry under '{scheme}' that '{}' begins with; an entry \"\" would fit all",
            location.url
        )
    })
}

/// The members of an entry that has several, all of them texts. Empty ones count as not there.
pub(crate) fn members(entry: &Value, known: &[&str]) -> Result<Map<String, Value>, String> {
    let Value::Object(members) = entry else {
        return Err(format!("the credential file's entry should be an object with {}", known.join(", ")));
    };
    for (name, value) in members {
        if !known.contains(&name.as_str()) {
            return Err(format!(
                "the credential file's entry has an unknown member '{name}'; there are {}",
                known.join(", ")
            ));
        }
        if !value.is_string() {
            return Err(format!("the credential file's '{name}' should be a text"));
        }
    }
    let set = members.iter().filter(|(_, value)| value.as_str() != Some(""));
    Ok(set.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// One of the members.
pub(crate) fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// An environment for a test.
    pub(crate) fn environment(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
        let set: BTreeMap<String, String> =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| set.get(name).cloned()
    }

    pub(crate) fn location(url: &str) -> StoreLocation {
        url.parse().unwrap()
    }

    #[test]
    fn the_longest_name_that_fits_wins() {
        let file = serde_json::json!({"gs": {
            "": "default", "gs://bucket-002": "second", "gs://bucket-002/a/b": "third"}});
        let of = |url| matching(&file, &location(url)).unwrap();
        assert_eq!(of("gs://any"), "default");
        assert_eq!(of("gs://bucket-002/models"), "second");
        assert_eq!(of("gs://bucket-002/a/b/models"), "third");
        assert_eq!(matching(&file, &location("s3://b")).unwrap_err(), "has nothing under 's3'");
        let narrow = serde_json::json!({"gs": {"gs://other": "x"}});
        let error = matching(&narrow, &location("gs://bucket")).unwrap_err();
        assert!(error.contains("that 'gs://bucket' begins with"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_json_is_told_without_its_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "{\"s3\": hunter2").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let variables = environment(&[("TRITON_CLOUD_CREDENTIAL_PATH", &path)]);
        let error = from_file(&location("s3://b"), &variables).unwrap_err();
        assert!(error.ends_with("is not JSON: line 1, column 8") && !error.contains("hunter"), "{error}");
        let gone = environment(&[("TRITON_CLOUD_CREDENTIAL_PATH", "/not/there")]);
        assert!(from_file(&location("s3://b"), &gone).unwrap_err().contains("failed to read '/not/there'"));
        assert_eq!(from_file(&location("s3://b"), &environment(&[])), Ok(None));
    }

    #[test]
    fn members_are_checked() {
        let known = ["key_id", "region"];
        let set = members(&serde_json::json!({"key_id": "a", "region": ""}), &known).unwrap();
        assert_eq!((text(&set, "key_id").as_deref(), text(&set, "region")), (Some("a"), None));
        for bad in [serde_json::json!("x"), serde_json::json!({"key": "a"}), serde_json::json!({"key_id": 1})]
        {
            assert!(members(&bad, &known).unwrap_err().contains("the credential file's"), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "...");
    }
}
