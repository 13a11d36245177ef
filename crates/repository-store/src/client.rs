//! The HTTP clients of the stores: timeouts and retries.

use std::sync::{Arc, Once};
use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::credentials::Variables;
use crate::{Bucket, StoreError, StoreLocation, aws, azure, gcp};

/// A request is tried seven times in all, with pauses that start at 0.1 s and double each time.
pub(crate) fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: Duration::from_secs(90),
    }
}

/// No limit on a whole download, since models are large: only on silence.
pub(crate) fn options() -> ClientOptions {
    install_cryptography();
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(10))
        .with_read_timeout(Duration::from_secs(30))
}

/// TLS takes the cryptography that is installed for the process: ring, unless somebody installed another one before.
fn install_cryptography() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A client for the location's bucket. Makes no request yet.
pub(crate) fn open(
    location: &StoreLocation,
    variables: Variables<'_>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let opened: Result<Arc<dyn ObjectStore>, String> = match &location.bucket {
        Bucket::S3 { endpoint, bucket } => {
            aws::open(location, endpoint.as_deref(), bucket, variables).map(|store| Arc::new(store) as _)
        }
        Bucket::Gcs { bucket } => gcp::open(location, bucket, variables).map(|store| Arc::new(store) as _),
        Bucket::Azure { account, endpoint, container } => {
            let place = (account.as_str(), endpoint.as_deref(), container.as_str());
            azure::open(location, place, variables).map(|store| Arc::new(store) as _)
        }
    };
    opened.map_err(|reason| StoreError::Credentials { url: location.url.clone(), reason })
}
