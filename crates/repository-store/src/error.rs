//! Errors of stores, with texts that say what the user can do.

use std::io;
use std::path::PathBuf;

use hippocamp_repository::RemoteFault;
use thiserror::Error;

use crate::{Bucket, StoreLocation};

/// A store that cannot be set up as it is described.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("'{url}' is not a model repository's location: {reason}")]
    Location { url: String, reason: String },
    #[error("the credentials for '{url}' cannot be used: {reason}")]
    Credentials { url: String, reason: String },
    #[error("the cache folder '{}' for '{url}' cannot be used: {reason}", path.display())]
    Cache { url: String, path: PathBuf, reason: String },
}

/// The request to a store that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation<'a> {
    List,
    Object(&'a str),
}

/// Says of an error of the store's client the operation, what came back, and what to set.
pub(crate) fn explain(
    location: &StoreLocation,
    operation: Operation<'_>,
    error: &object_store::Error,
) -> RemoteFault {
    use object_store::Error;

    let what = match operation {
        Operation::List => "its objects could not be listed".to_owned(),
        Operation::Object(key) => format!("object '{key}' could not be read"),
    };
    let bucket = described(location);
    let full = chain(error);
    let said = reply(&full);
    // Of listings the client tells the status in words only.
    let status = |words: &str| matches!(error, Error::Generic { .. }) && full.contains(words);
    let why = match error {
        _ if matches!(error, Error::NotFound { .. }) || status("404 Not Found") => match operation {
            Operation::List => format!("{bucket} does not exist ({said})"),
            Operation::Object(_) => format!("{bucket} has no such object any more"),
        },
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => denied(location, &bucket, &said),
        _ if status("403 Forbidden") || status("401 Unauthorized") => denied(location, &bucket, &said),
        Error::Precondition { .. } => "it was changed while it was being read".to_owned(),
        _ if full.contains("169.254.169.254") || full.contains("metadata.google.internal") => {
            format!(
                "no credentials are set, and this machine has none of its own; {}",
                what_to_set(&location.bucket)
            )
        }
        _ => said,
    };
    RemoteFault(format!("{what}: {why}"))
}

fn denied(location: &StoreLocation, bucket: &str, said: &str) -> String {
    format!("access to {bucket} was refused ({said}); {}", what_to_set(&location.bucket))
}

/// The fault of a disk error, with the path and what the user can do.
pub(crate) fn disk(path: &std::path::Path, error: &io::Error) -> RemoteFault {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there, or name another folder by TRITON_AWS_MOUNT_DIRECTORY, TRITON_GCS_MOUNT_DIRECTORY or \
             TRITON_AZURE_MOUNT_DIRECTORY"
        }
        _ => "",
    };
    RemoteFault(format!("the cache '{}' could not be written: {error}{hint}", path.display()))
}

fn described(location: &StoreLocation) -> String {
    match &location.bucket {
        Bucket::S3 { endpoint: Some(endpoint), bucket } => format!("bucket '{bucket}' at {endpoint}"),
        Bucket::S3 { endpoint: None, bucket } | Bucket::Gcs { bucket } => format!("bucket '{bucket}'"),
        Bucket::Azure { account, container, .. } => {
            format!("container '{container}' of account '{account}'")
        }
    }
}

fn what_to_set(bucket: &Bucket) -> &'static str {
    match bucket {
        Bucket::S3 { .. } => {
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION, the profile, or the file named by \
             TRITON_CLOUD_CREDENTIAL_PATH"
        }
        Bucket::Gcs { .. } => {
            "check GOOGLE_APPLICATION_CREDENTIALS or the file named by TRITON_CLOUD_CREDENTIAL_PATH"
        }
        Bucket::Azure { .. } => {
            "check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or the file named by TRITON_CLOUD_CREDENTIAL_PATH"
        }
    }
}

/// The error with all its causes, each told once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Code and message of the XML that stores answer with; else the text itself, without what would fill a screen.
fn reply(text: &str) -> String {
    let element = |name: &str| {
        let (_, behind) = text.split_once(&format!("<{name}>"))?;
        let (content, _) = behind.split_once('<')?;
        Some(content.trim().to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => text.chars().take(600).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Box<dyn std::error::Error + Send + Sync> {
        text.to_owned().into()
    }

    fn explained(operation: Operation<'_>, error: &object_store::Error) -> String {
        let location = "s3://127.0.0.1:9000/bucket/models".parse().unwrap();
        explain(&location, operation, error).to_string()
    }

    #[test]
    fn says_what_came_back_and_what_to_set() {
        let body = "Client error with status 403 Forbidden: <?xml?><Error><Code>InvalidAccessKeyId</Code>\
                    <Message>No such key.</Message></Error>";
        let denied = object_store::Error::PermissionDenied { path: "m".into(), source: error(body) };
        assert_eq!(
            explained(Operation::List, &denied),
            "its objects could not be listed: access to bucket 'bucket' at http://127.0.0.1:9000 was refused \
             (InvalidAccessKeyId: No such key.); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
             AWS_DEFAULT_REGION, the profile, or the file named by TRITON_CLOUD_CREDENTIAL_PATH"
        );
        let missing = object_store::Error::NotFound {
            path: "m".into(),
            source: error("404: <Error><Code>NoSuchBucket</Code></Error>"),
        };
        assert_eq!(
            explained(Operation::List, &missing),
            "its objects could not be listed: bucket 'bucket' at http://127.0.0.1:9000 does not exist (NoSuchBucket)"
        );
        assert!(
            explained(Operation::Object("m/1/model.onnx"), &missing)
                .starts_with("object 'm/1/model.onnx' could")
        );
        let listing = object_store::Error::Generic {
            store: "S3",
            source: error("Client error with status 404 Not Found: <Error><Code>NoSuchBucket</Code></Error>"),
        };
        assert!(explained(Operation::List, &listing).contains("does not exist (NoSuchBucket)"));
        let nobody = object_store::Error::Generic {
            store: "S3",
            source: error("Error performing PUT http://169.254.169.254/latest/api/token"),
        };
        assert!(explained(Operation::List, &nobody).contains("no credentials are set"));
    }

    #[test]
    fn long_answers_do_not_fill_the_log() {
        let long = object_store::Error::Generic { store: "S3", source: error(&"x".repeat(100_000)) };
        assert!(explained(Operation::List, &long).len() < 1_000);
    }
}
