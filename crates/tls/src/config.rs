//! The settings of rustls that PEM texts mean. Reads no file.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{CipherSuite, Error, InconsistentKeys, RootCertStore, ServerConfig, SignatureAlgorithm};

/// The contents of the files of a port.
#[derive(Clone, Copy, Debug)]
pub struct Pem<'a> {
    /// The certificate of the server, and those between it and the root, in this order.
    pub certificate: &'a [u8],
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: &'a [u8],
    /// The certificates that sign those of clients. If there are any, a client has to have one.
    pub roots: Option<&'a [u8]>,
}

/// Which of the files has a fault, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: File,
    /// What is wrong with it, and what would help.
    pub why: String,
}

/// One of the files of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The certificate of the server.
    Certificate,
    /// Its key.
    Key,
    /// The roots of clients' certificates.
    Roots,
}

impl File {
    pub(crate) fn fault(self, why: impl Into<String>) -> Fault {
        Fault { file: self, why: why.into() }
    }
}

/// The settings for a server with that certificate. `protocols` are those that it offers by ALPN, in its order of preference.
pub fn server_config(pem: Pem<'_>, protocols: &[&str]) -> Result<ServerConfig, Fault> {
    let chain = certificates(pem.certificate, File::Certificate)?;
    let key = private_key(pem.key)?;
    let provider = Arc::new(provider());
    let versions =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let versions = versions.map_err(|e| File::Certificate.fault(e.to_string()))?;
    let clients = match pem.roots {
        None => versions.with_no_client_auth(),
        Some(roots) => {
            let roots = Arc::new(root_store(roots)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            versions.with_client_cert_verifier(verifier.map_err(|e| File::Roots.fault(e.to_string()))?)
        }
    };
    let mut config = clients.with_single_cert(chain, key).map_err(|error| with_key(&error))?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    // Sessions are resumed by tickets, so that the server keeps nothing of a client that went away.
    config.ticketer = ring::Ticketer::new().map_err(|e| File::Certificate.fault(e.to_string()))?;
    config.ignore_client_order = true;
    Ok(config)
}

/// Whether the key is one of Ed25519. A key that cannot be read is none.
pub fn is_ed25519(key: &[u8]) -> bool {
    let key = private_key(key).ok().and_then(|key| ring::sign::any_supported_type(&key).ok());
    key.is_some_and(|key| key.algorithm() == SignatureAlgorithm::ED25519)
}

/// ring, with AES-128 before AES-256 in TLS 1.3: as safe for as long as anyone can tell, and a quarter less work.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

fn certificates(text: &[u8], file: File) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(|error| file.fault(format!("it is no valid PEM: {error:?}")))?;
    if !all.is_empty() {
        return Ok(all);
    }
    let swapped = file == File::Certificate && contains(text, "PRIVATE KEY-----");
    Err(file.fault(if swapped {
        "it has a private key and no certificate; are the two files swapped?"
    } else {
        "it has no certificate; expected PEM with '-----BEGIN CERTIFICATE-----'"
    }))
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    // Before anything else, as a key of the old form says so in a header only.
    if contains(text, "ENCRYPTED") {
        return Err(File::Key.fault(
            "the key is encrypted, and there is nobody to ask for its password; \
             `openssl pkey -in KEY -out PLAIN` writes it without one, then protect the file by its permissions",
        ));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        File::Key.fault(match error {
            pem::Error::NoItemsFound if contains(text, "-----BEGIN CERTIFICATE-----") => {
                "it has a certificate and no private key; are the two files swapped?".to_owned()
            }
            pem::Error::NoItemsFound => {
                "it has no private key; expected PEM with '-----BEGIN PRIVATE KEY-----'".to_owned()
            }
            error => format!("it is no valid PEM: {error:?}"),
        })
    })
}

fn root_store(text: &[u8]) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    for (number, certificate) in certificates(text, File::Roots)?.into_iter().enumerate() {
        store.add(certificate).map_err(|error| {
            File::Roots.fault(format!("certificate {} of it cannot be a root: {error}", number + 1))
        })?;
    }
    Ok(store)
}

/// The fault of a certificate and a key that are well-formed, but of no use together.
fn with_key(error: &Error) -> Fault {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => File::Key.fault(
            "the key does not belong to the certificate; `openssl x509 -in CERT -noout -pubkey` and \
             `openssl pkey -in KEY -pubout` have to print the same. The server's own certificate comes first in its file",
        ),
        Error::InvalidCertificate(why) => {
            File::Certificate.fault(format!("the certificate is not valid: {why:?}"))
        }
        error => File::Key.fault(format!(
            "the key cannot be used: {error}; expected RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
        )),
    }
}

fn contains(text: &[u8], wanted: &str) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

#[cfg(test)]
mod tests;
