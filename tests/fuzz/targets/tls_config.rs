//! Any three texts are either the certificate, key and roots of a port, or a fault that names one of them.
//!
//! The input is the three PEM files, divided by zero bytes; the third may be missing.
#![no_main]

use hippocamp_tls::{File, Pem, server_config};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(3, |&byte| byte == 0);
    let certificate = files.next().unwrap_or_default();
    let key = files.next().unwrap_or_default();
    let roots = files.next();
    match server_config(Pem { certificate, key, roots }, &["h2", "http/1.1"]) {
        Ok(config) => assert_eq!(config.alpn_protocols.len(), 2),
        Err(fault) => {
            assert!(!fault.why.is_empty());
            assert!(fault.file != File::Roots || roots.is_some(), "{fault:?}");
        }
    }
});
