use rcgen::{CertificateParams, KeyPair};

use super::*;

struct Made {
    certificate: String,
    key: String,
}

fn made() -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    Made { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn fault(certificate: &str, key: &str, roots: Option<&str>) -> Fault {
    let pem =
        Pem { certificate: certificate.as_bytes(), key: key.as_bytes(), roots: roots.map(str::as_bytes) };
    server_config(pem, &["h2"]).unwrap_err()
}

#[test]
fn a_pair_is_taken_and_offers_its_protocols() {
    let Made { certificate, key } = made();
    for roots in [None, Some(certificate.as_bytes())] {
        let pem = Pem { certificate: certificate.as_bytes(), key: key.as_bytes(), roots };
        let config = server_config(pem, &["h2", "http/1.1"]).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let first = config.crypto_provider().cipher_suites[0].suite();
        assert_eq!(first, CipherSuite::TLS13_AES_128_GCM_SHA256);
    }
    // Text around it and a file with both are usual.
    let both = format!("Subject: CN=localhost\n{certificate}\n{key}");
    let pem = Pem { certificate: both.as_bytes(), key: both.as_bytes(), roots: None };
    assert!(server_config(pem, &["h2"]).is_ok());
}

#[test]
fn an_ed25519_key_is_told_from_others() {
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap().serialize_pem();
    assert!(is_ed25519(key(&rcgen::PKCS_ED25519).as_bytes()));
    assert!(!is_ed25519(key(&rcgen::PKCS_ECDSA_P256_SHA256).as_bytes()));
    assert!(!is_ed25519(made().certificate.as_bytes()));
}

#[test]
fn faults_say_what_would_help() {
    let (ours, other) = (made(), made());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = ours.key.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
    let cut = &ours.certificate[..ours.certificate.len() / 2];
    let broken = ours.certificate.replacen("MII", "MIJ", 1);
    for (certificate, key, roots, file, expected) in [
        (&*ours.certificate, &*other.key, None, File::Key, "the key does not belong to the certificate"),
        (&ours.key, &ours.certificate, None, File::Certificate, "are the two files swapped?"),
        (&ours.certificate, &ours.certificate, None, File::Key, "are the two files swapped?"),
        ("", &ours.key, None, File::Certificate, "it has no certificate; expected PEM"),
        (&ours.certificate, "", None, File::Key, "it has no private key; expected PEM"),
        (&ours.certificate, encrypted, None, File::Key, "the key is encrypted"),
        (&ours.certificate, &old, None, File::Key, "the key is encrypted"),
        (cut, &ours.key, None, File::Certificate, "it is no valid PEM"),
        (&broken, &ours.key, None, File::Certificate, "the certificate is not valid"),
        (&ours.certificate, &ours.key, Some(""), File::Roots, "it has no certificate"),
        (&ours.certificate, &ours.key, Some(&*broken), File::Roots, "certificate 1 of it cannot be a root"),
    ] {
        let fault = fault(certificate, key, roots);
        assert_eq!(fault.file, file, "{fault:?}");
        assert!(fault.why.contains(expected), "{fault:?}");
    }
}
