//! Google's Cloud Storage: credentials and client.

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};

use crate::StoreLocation;
use crate::client;
use crate::credentials::{Variables, from_file, variable};

/// A client for the bucket. Makes no request yet. Without a credential file the machine's own account is asked for.
pub(crate) fn open(
    location: &StoreLocation,
    bucket: &str,
    variables: Variables<'_>,
) -> Result<GoogleCloudStorage, String> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(client::retry())
        .with_client_options(client::options());
    if let Some(path) = credential_path(location, variables)? {
        builder = builder.with_application_credentials(path);
    }
    if let Some(skip) = variable(variables, "GOOGLE_SKIP_SIGNATURE") {
        builder = builder.with_config(GoogleConfigKey::SkipSignature, skip);
    }
    builder.build().map_err(|e| e.to_string())
}

fn credential_path(location: &StoreLocation, variables: Variables<'_>) -> Result<Option<String>, String> {
    let path = match from_file(location, variables)? {
        Some(entry) => {
            let path = entry.as_str().ok_or("the credential file's entry should be the path of a file")?;
            Some(path.to_owned()).filter(|path| !path.is_empty())
        }
        None => variable(variables, "GOOGLE_APPLICATION_CREDENTIALS"),
    };
    match &path {
        Some(path) if !std::path::Path::new(path).is_file() => {
            Err(format!("there is no file '{path}', which should hold Google's credentials"))
        }
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::credentials::tests::{environment, location};

    #[test]
    fn the_file_of_the_environment_or_of_the_credential_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["one.json", "two.json"] {
            fs::write(path(name), "{}").unwrap();
        }
        let bucket = location("gs://bucket/models");
        let of = |set: &[(&str, &str)]| credential_path(&bucket, &environment(set));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("GOOGLE_APPLICATION_CREDENTIALS", &path("one.json"))]), Ok(Some(path("one.json"))));
        let file = path("credentials.json");
        let entries = serde_json::json!({"gs": {"": path("one.json"), "gs://bucket": path("two.json")}});
        fs::write(&file, entries.to_string()).unwrap();
        assert_eq!(of(&[("TRITON_CLOUD_CREDENTIAL_PATH", &file)]), Ok(Some(path("two.json"))));
        let gone = of(&[("GOOGLE_APPLICATION_CREDENTIALS", "/not/there")]).unwrap_err();
        assert_eq!(gone, "there is no file '/not/there', which should hold Google's credentials");
    }

    #[test]
    fn a_service_account_and_everybody() {
        let bucket = location("gs://bucket");
        open(&bucket, "bucket", &environment(&[("GOOGLE_SKIP_SIGNATURE", "true")])).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "{\"type\": \"nonsense\"}").unwrap();
        let path = file.path().to_str().unwrap();
        assert!(open(&bucket, "bucket", &environment(&[("GOOGLE_APPLICATION_CREDENTIALS", path)])).is_err());
    }
}
