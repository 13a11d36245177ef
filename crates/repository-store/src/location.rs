//! Parses the location of a remote repository: the store, the bucket, and the path in it.

use std::str::FromStr;

use crate::StoreError;

/// A repository's location, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLocation {
    /// As the user wrote it.
    pub url: String,
    pub bucket: Bucket,
    /// The repository's path inside of the bucket, without a slash at either end. Empty if the bucket is the repository.
    pub prefix: String,
}

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Amazon's S3, or with an endpoint any store that speaks its protocol.
    S3 {
        endpoint: Option<String>,
        bucket: String,
    },
    Gcs {
        bucket: String,
    },
    /// With an endpoint a cloud of its own; by default Azure's public one.
    Azure {
        account: String,
        endpoint: Option<String>,
        container: String,
    },
}

impl StoreLocation {
    /// The bucket's name, for messages and for the cache folder.
    pub fn bucket_name(&self) -> &str {
        match &self.bucket {
            Bucket::S3 { bucket, .. } | Bucket::Gcs { bucket } => bucket,
            Bucket::Azure { container, .. } => container,
        }
    }
}

impl FromStr for StoreLocation {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        let bad = |reason: &str| StoreError::Location { url: url.to_owned(), reason: reason.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
        if rest.contains('@') {
            return Err(StoreError::Location {
                // Not repeated: what is before the @ may be a secret.
                url: format!("{scheme}://..."),
                reason: "credentials do not belong here, but into the environment".to_owned(),
            });
        }
        let (bucket, path) = match scheme {
            "s3" => s3(rest).map_err(bad)?,
            "gs" => {
                let (bucket, path) = first_part(rest);
                (Bucket::Gcs { bucket: named(bucket).map_err(bad)? }, path)
            }
            "as" => azure(rest).map_err(bad)?,
            _ => return Err(bad("expected s3://, gs:// or as://")),
        };
        let prefix = path.trim_matches('/');
        if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") {
            return Err(bad("its path has a part that is empty, '.' or '..'"));
        }
        Ok(StoreLocation { url: url.to_owned(), bucket, prefix: prefix.to_owned() })
    }
}

/// `bucket/path`, `host:port/bucket/path`, and `https://host:port/bucket/path`.
fn s3(rest: &str) -> Result<(Bucket, &str), &'static str> {
    let (protocol, behind) = match rest.split_once("://") {
        Some((protocol @ ("http" | "https"), behind)) => (Some(protocol), behind),
        Some(_) => return Err("the host's protocol should be http or https"),
        None => (None, rest),
    };
    let (first, path) = first_part(behind);
    let is_host = protocol.is_some() || first.contains(':');
    if !is_host {
        return Ok((Bucket::S3 { endpoint: None, bucket: named(first)? }, path));
    }
    let port = first.rsplit_once(':').map(|(_, port)| port);
    if first.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("expected s3://HOST:PORT/BUCKET/PATH");
    }
    // As in Triton, a host without a protocol is spoken to in plain HTTP.
    let endpoint = Some(format!("{}://{first}", protocol.unwrap_or("http")));
    let (bucket, path) = first_part(path);
    Ok((Bucket::S3 { endpoint, bucket: named(bucket)? }, path))
}

/// `account/container/path`; the account may be written as its host.
fn azure(rest: &str) -> Result<(Bucket, &str), &'static str> {
    let (host, path) = first_part(rest);
    let (container, path) = first_part(path);
    let account = host.split('.').next().unwrap_or(host);
    if account.is_empty() || container.is_empty() {
        return Err("expected as://ACCOUNT/CONTAINER/PATH");
    }
    let endpoint = host.contains('.').then(|| format!("https://{host}"));
    Ok((Bucket::Azure { account: account.to_owned(), endpoint, container: container.to_owned() }, path))
}

fn first_part(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

fn named(bucket: &str) -> Result<String, &'static str> {
    if bucket.is_empty() { Err("it names no bucket") } else { Ok(bucket.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> (Bucket, String) {
        let location: StoreLocation = url.parse().unwrap();
        assert_eq!(location.url, url);
        (location.bucket, location.prefix)
    }

    fn s3(endpoint: Option<&str>, bucket: &str, prefix: &str) -> (Bucket, String) {
        let endpoint = endpoint.map(str::to_owned);
        (Bucket::S3 { endpoint, bucket: bucket.to_owned() }, prefix.to_owned())
    }

    #[test]
    fn s3_is_amazon_or_a_host() {
        assert_eq!(parse("s3://bucket/path/to/models"), s3(None, "bucket", "path/to/models"));
        assert_eq!(parse("s3://bucket"), s3(None, "bucket", ""));
        assert_eq!(parse("s3://bucket/models/"), s3(None, "bucket", "models"));
        let here = "http://127.0.0.1:9000";
        assert_eq!(parse("s3://127.0.0.1:9000/bucket/models"), s3(Some(here), "bucket", "models"));
        assert_eq!(parse("s3://http://127.0.0.1:9000/bucket"), s3(Some(here), "bucket", ""));
        let far = "https://s3.example.com:443";
        assert_eq!(parse("s3://https://s3.example.com:443/bucket/a/b"), s3(Some(far), "bucket", "a/b"));
        assert_eq!(
            parse("s3://https://s3.example.com/bucket"),
            s3(Some("https://s3.example.com"), "bucket", "")
        );
    }

    #[test]
    fn the_other_clouds() {
        assert_eq!(
            parse("gs://bucket/models"),
            (Bucket::Gcs { bucket: "bucket".to_owned() }, "models".to_owned())
        );
        let azure = |endpoint: Option<&str>| Bucket::Azure {
            account: "account".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            container: "container".to_owned(),
        };
        assert_eq!(parse("as://account/container/a/b"), (azure(None), "a/b".to_owned()));
        assert_eq!(
            parse("as://account.blob.core.chinacloudapi.cn/container"),
            (azure(Some("https://account.blob.core.chinacloudapi.cn")), String::new())
        );
    }

    #[test]
    fn what_is_no_location_is_refused_with_a_reason() {
        for (url, reason) in [
            ("s3://", "it names no bucket"),
            ("s3://host:9000", "it names no bucket"),
            ("s3://host:port/bucket", "expected s3://HOST:PORT/BUCKET/PATH"),
            ("s3://ftp://host:1/bucket", "the host's protocol should be http or https"),
            ("gs://", "it names no bucket"),
            ("as://account", "expected as://ACCOUNT/CONTAINER/PATH"),
            ("s3://bucket/a/../b", "its path has a part that is empty, '.' or '..'"),
            ("s3://bucket/a//b", "its path has a part that is empty, '.' or '..'"),
            ("ftp://host/models", "expected s3://, gs:// or as://"),
        ] {
            let error = url.parse::<StoreLocation>().unwrap_err().to_string();
            assert_eq!(error, format!("'{url}' is not a model repository's location: {reason}"));
        }
        let secret = "s3://key:secret@host:9000/bucket".parse::<StoreLocation>().unwrap_err().to_string();
        assert!(!secret.contains("secret@") && !secret.contains("key:"), "{secret}");
    }
}
