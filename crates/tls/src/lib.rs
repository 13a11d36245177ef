//! The TLS of a port: a certificate, its key and the roots of its clients' certificates, from PEM files that are read again when
//! they change.
//!
//! rustls does the work, with the cryptography of ring. Connections that are open go on with what they began with; a new
//! one begins with what was read last. Where changed files have a fault, what was read before goes on to hold.

#![warn(missing_docs)]

mod config;
mod files;

pub use config::{Fault, File, Pem, is_ed25519, server_config};
pub use files::{Tls, TlsError, TlsFiles};
pub use rustls::ServerConfig;
