//! S3: credentials and client.

use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};

use crate::StoreLocation;
use crate::aws_profile::{self, Profile};
use crate::client;
use crate::credentials::{Secret, Variables, from_file, members, text, variable};

/// The credentials that were found. Without a key the client asks the metadata service of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct S3Credentials {
    key: Option<(String, Secret)>,
    session_token: Option<Secret>,
    region: Option<String>,
}

/// Variables that the client understands by itself: roles of containers and pods, buckets for everybody.
const PASSED_ON: [(&str, AmazonS3ConfigKey); 7] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_SKIP_SIGNATURE", AmazonS3ConfigKey::SkipSignature),
];

/// A client for the bucket. Makes no request yet.
pub(crate) fn open(
    location: &StoreLocation,
    endpoint: Option<&str>,
    bucket: &str,
    variables: Variables<'_>,
) -> Result<AmazonS3, String> {
    let credentials = credentials(location, variables)?;
    let endpoint = endpoint.map(str::to_owned).or_else(|| {
        let named = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
        named.iter().find_map(|name| variable(variables, name))
    });
    let plain = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options: ClientOptions = client::options().with_allow_http(plain);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_retry(client::retry())
        .with_client_options(options);
    let mut has_role = false;
    for (name, key) in PASSED_ON {
        if let Some(value) = variable(variables, name) {
            has_role = true;
            builder = builder.with_config(key, value);
        }
    }
    if let Some(region) = credentials.region {
        builder = builder.with_region(region);
    }
    match credentials.key {
        Some((id, Secret(key))) => {
            builder = builder.with_access_key_id(id).with_secret_access_key(key);
            if let Some(Secret(token)) = credentials.session_token {
                builder = builder.with_token(token);
            }
        }
        // A store of one's own knows nothing of roles of Amazon's machines; without a key it is asked as anybody.
        None if endpoint.is_some() && !has_role => builder = builder.with_skip_signature(true),
        None => {}
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build().map_err(|e| e.to_string())
}

fn credentials(location: &StoreLocation, variables: Variables<'_>) -> Result<S3Credentials, String> {
    let Some(entry) = from_file(location, variables)? else { return from_environment(variables) };
    let known = ["secret_key", "key_id", "region", "session_token", "profile"];
    let entry = members(&entry, &known)?;
    let region = text(&entry, "region");
    let key = match (text(&entry, "key_id"), text(&entry, "secret_key")) {
        (Some(id), Some(key)) => Some((id, Secret(key))),
        (None, None) => None,
        _ => return Err("the credential file has one of key_id and secret_key without the other".to_owned()),
    };
    if key.is_some() {
        let session_token = text(&entry, "session_token").map(Secret);
        return Ok(S3Credentials { key, session_token, region });
    }
    let profile = match text(&entry, "profile") {
        Some(name) => aws_profile::read(&name, variables)?,
        None => Profile::default(),
    };
    Ok(S3Credentials { region: region.or_else(|| profile.region.clone()), ..profile.into() })
}

/// Variables come before the files that `aws configure` writes.
fn from_environment(variables: Variables<'_>) -> Result<S3Credentials, String> {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| variable(variables, name));
    let key = match (variable(variables, "AWS_ACCESS_KEY_ID"), variable(variables, "AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(key)) => Some((id, Secret(key))),
        (None, None) => None,
        _ => {
            return Err(
                "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other".to_owned()
            );
        }
    };
    if key.is_some() && region.is_some() {
        let session_token = variable(variables, "AWS_SESSION_TOKEN").map(Secret);
        return Ok(S3Credentials { key, session_token, region });
    }
    let profile = match variable(variables, "AWS_PROFILE") {
        // A profile that was asked for has to be there; the default one may be.
        Some(name) if key.is_none() => aws_profile::read(&name, variables)?,
        Some(name) => aws_profile::read(&name, variables).unwrap_or_default(),
        None => aws_profile::read("default", variables).unwrap_or_default(),
    };
    let region = region.or_else(|| profile.region.clone());
    match key {
        Some(key) => {
            let session_token = variable(variables, "AWS_SESSION_TOKEN").map(Secret);
            Ok(S3Credentials { key: Some(key), session_token, region })
        }
        None => Ok(S3Credentials { region, ..profile.into() }),
    }
}

impl From<Profile> for S3Credentials {
    fn from(profile: Profile) -> Self {
        let key = profile.key_id.zip(profile.secret_key);
        let session_token = profile.session_token.filter(|_| key.is_some());
        S3Credentials { key, session_token, region: profile.region }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::credentials::tests::{environment, location};

    fn known(id: &str, key: &str, token: Option<&str>, region: Option<&str>) -> S3Credentials {
        S3Credentials {
            key: Some((id.to_owned(), Secret(key.to_owned()))),
            session_token: token.map(|token| Secret(token.to_owned())),
            region: region.map(str::to_owned),
        }
    }

    #[test]
    fn variables_come_before_profiles() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".aws")).unwrap();
        let credentials = "[default]\naws_access_key_id = d\naws_secret_access_key=e\n\
                           [other]\naws_access_key_id = o\naws_secret_access_key = p\naws_session_token = q\n";
        fs::write(folder.path().join(".aws/credentials"), credentials).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile other]\nregion = us-west-2\n";
        fs::write(folder.path().join(".aws/config"), config).unwrap();
        let home = folder.path().to_str().unwrap();
        let of = |more: &[(&str, &str)]| {
            let mut all = vec![("HOME", home)];
            all.extend(more);
            from_environment(&environment(&all))
        };
        assert_eq!(of(&[]).unwrap(), known("d", "e", None, Some("eu-west-1")));
        assert_eq!(of(&[("AWS_PROFILE", "other")]).unwrap(), known("o", "p", Some("q"), Some("us-west-2")));
        let set = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", "c")];
        assert_eq!(of(&set).unwrap(), known("a", "b", Some("c"), Some("eu-west-1")));
        assert_eq!(of(&[("AWS_DEFAULT_REGION", "r")]).unwrap(), known("d", "e", None, Some("r")));
        assert!(of(&[("AWS_PROFILE", "none")]).unwrap_err().contains("no profile 'none'"));
        assert!(of(&[("AWS_ACCESS_KEY_ID", "a")]).unwrap_err().contains("without the other"));
        assert_eq!(from_environment(&environment(&[])).unwrap(), S3Credentials::default());
    }

    #[test]
    fn the_credential_file_has_the_only_word() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content = r#"{"s3": {
            "": {"secret_key": "k", "key_id": "i", "region": "r", "session_token": "", "profile": ""},
            "s3://two": {"secret_key": "k2", "key_id": "i2", "region": "", "session_token": "t2", "profile": "p"},
            "s3://https://h:443/three": {"secret_key": "k3", "key_id": "", "region": "", "session_token": "", "profile": ""}
        }}"#;
        fs::write(file.path(), content).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let variables =
            environment(&[("TRITON_CLOUD_CREDENTIAL_PATH", &path), ("AWS_ACCESS_KEY_ID", "not this one")]);
        let of = |url| credentials(&location(url), &variables);
        assert_eq!(of("s3://one/models").unwrap(), known("i", "k", None, Some("r")));
        assert_eq!(of("s3://two/models").unwrap(), known("i2", "k2", Some("t2"), None));
        assert!(of("s3://https://h:443/three/m").unwrap_err().contains("without the other"));
    }

    #[test]
    fn clients_are_made_without_a_request() {
        let variables = environment(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]);
        for endpoint in [None, Some("http://127.0.0.1:9"), Some("https://h:443")] {
            open(&location("s3://bucket"), endpoint, "bucket", &variables).unwrap();
        }
        open(&location("s3://bucket"), None, "bucket", &environment(&[])).unwrap();
    }
}
