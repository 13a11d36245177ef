//! Triton's checksum agent: files have the digests that the config says, or the model is not loaded.
//!
//! Each parameter is one file: the key is the algorithm and the path inside of the model's folder, `MD5:1/model.onnx`,
//! and the value is the digest in hexadecimal. Triton knows MD5; SHA256 is there for those to whom MD5 says nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, Read};
use std::path::{Component, Path};

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::FaultKind;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::faults::about;

pub(super) const NAME: &str = "checksum";

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// Checks all files, in the order of their keys so that the same fault is told every time.
pub(super) fn run<'a>(
    model: &str,
    folder: &Path,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    let parameters: BTreeMap<_, _> = parameters.into_iter().collect();
    for (key, expected) in parameters {
        let (algorithm, path) = key.split_once(':').ok_or_else(|| {
            Error::invalid_arg(format!(
                "failed to parse key: {key}, of the checksum agent of model '{model}'; expected ALGORITHM:PATH, as in \
                 MD5:1/model.onnx"
            ))
        })?;
        let digest = match algorithm.to_ascii_lowercase().as_str() {
            "md5" => digest::<Md5>,
            "sha256" => digest::<Sha256>,
            _ => {
                return Err(Error::invalid_arg(format!(
                    "Unsupported checksum algorithm: {algorithm}, of model '{model}'; there are MD5 and SHA256"
                )));
            }
        };
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !inside {
            return Err(Error::invalid_arg(format!(
                "the checksum agent of model '{model}' was expected to name a file in the model's folder, got '{path}'"
            )));
        }
        let found = digest(&folder.join(path)).map_err(|e| {
            let text = format!("failed to read {path} for the checksum agent of model '{model}': {e}");
            Error::invalid_arg(text).with_source(e)
        })?;
        if !found.eq_ignore_ascii_case(expected.trim()) {
            let algorithm = algorithm.to_ascii_uppercase();
            let error = Error::invalid_arg(format!(
                "Mismatched {algorithm} hash for file {path}, expect: {expected}, got: {found}"
            ));
            return Err(about(error, "model_repository_agents", FaultKind::Digest));
        }
    }
    Ok(())
}

/// The digest of a file in hexadecimal, read in pieces: model files are large.
fn digest<D: Digest>(path: &Path) -> io::Result<String> {
    let (mut file, _) = hippocamp_files::open(path)?;
    let mut hash = D::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    let mut text = String::new();
    for byte in &hash.finalize()[..] {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MD5: &str = "5d41402abc4b2a76b9719d911017c592";
    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn checked(key: &str, value: &str) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1")).unwrap();
        fs::write(folder.path().join("1/model.onnx"), "hello").unwrap();
        run("m", folder.path(), [(key, value)])
    }

    #[test]
    fn the_right_digest_passes_in_any_case() {
        checked("MD5:1/model.onnx", MD5).unwrap();
        checked("md5:1/model.onnx", &MD5.to_uppercase()).unwrap();
        checked("SHA256:1/model.onnx", SHA256).unwrap();
    }

    #[test]
    fn everything_else_does_not() {
        let text = |key, value| checked(key, value).unwrap_err().message().to_owned();
        assert_eq!(
            text("MD5:1/model.onnx", "0"),
            format!("Mismatched MD5 hash for file 1/model.onnx, expect: 0, got: {MD5}")
        );
        assert!(text("sha256:1/model.onnx", MD5).starts_with("Mismatched SHA256 hash for file 1/model.onnx"));
        assert!(text("SHA1:1/model.onnx", MD5).starts_with("Unsupported checksum algorithm: SHA1"));
        assert!(text("1/model.onnx", MD5).starts_with("failed to parse key: 1/model.onnx"));
        assert!(text("MD5:2/model.onnx", MD5).starts_with("failed to read 2/model.onnx"));
        for outside in ["MD5:../../etc/passwd", "MD5:/etc/passwd", "MD5:", "MD5:1/../../x"] {
            assert!(text(outside, MD5).contains("in the model's folder"), "{outside}");
        }
    }

    #[test]
    fn large_files_are_read_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("big"), vec![b'a'; 1_000_000]).unwrap();
        // The well-known test vector of a million times 'a'.
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        run("m", folder.path(), [("SHA256:big", expected)]).unwrap();
    }
}
