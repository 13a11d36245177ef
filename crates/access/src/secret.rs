//! Secrets, of which only a digest is kept, and which are compared in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The digest of a secret. Neither its length nor any of its bytes can be told from the time of a comparison.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    pub(crate) fn of(secret: &[u8]) -> Secret {
        Secret(Sha256::digest(secret).into())
    }

    /// The secret with that SHA-256, as 64 hexadecimal digits.
    pub(crate) fn from_sha256(hex: &str) -> Option<Secret> {
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Secret(digest))
    }

    /// Whether both are the same secret. The time does not depend on where they differ.
    pub(crate) fn is(&self, other: &Secret) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_text_or_its_digest() {
        let secret = Secret::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for hex in [hex, &hex.to_uppercase()] {
            assert!(bool::from(Secret::from_sha256(hex).unwrap().is(&secret)));
        }
        assert!(!bool::from(secret.is(&Secret::of(b"abd"))));
        for hex in ["", "ba78", &hex.replace('b', "g"), &format!("{hex}00"), &"ü".repeat(32)] {
            assert!(Secret::from_sha256(hex).is_none(), "{hex}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
