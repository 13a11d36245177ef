//! Explains why an engine refused a model file: common mistakes are recognised by the first bytes of the file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use hippocamp_backend::{Code, Error};
use hippocamp_files as files;
use hippocamp_model_config::ModelConfig;

/// Number of bytes that are read to recognise a file.
const HEAD: usize = 512;

/// How a zip file begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// Adds to the error of a load what is wrong with the model file in this version folder, if it is recognised.
#[cold]
pub fn explained(error: Error, folder: &Path, config: &ModelConfig) -> Error {
    use std::error::Error as _;

    let name = config.default_model_filename.as_str();
    if name.is_empty() || error.code() == Code::Unavailable || error.source().is_some_and(is_precise) {
        return error;
    }
    let path = files::named_from(folder, name);
    // PyTorch's own files are zip files.
    let is_zip = path.extension().is_some_and(|ending| ending == "pt" || ending == "pt2");
    let why = match files::head(&path, HEAD) {
        Ok(head) if is_zip && head.starts_with(ZIP) => None,
        Ok(head) => content(&head).map(|what| format!("'{}' {what}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => other(folder, name),
        Err(_) => None,
    };
    match why {
        Some(why) => Error::new(error.code(), format!("{}; {why}", error.message())),
        None => error,
    }
}

/// Whether the error names the fault itself, so that no explanation is needed.
fn is_precise(source: &(dyn std::error::Error + 'static)) -> bool {
    source.is::<hippocamp_model_config::Faults>()
}

/// Recognises by its first bytes a file that is not a model.
fn content(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    if head.is_empty() {
        Some("is empty: copy it once more")
    } else if head.len() >= 16 && head.iter().all(|byte| *byte == 0) {
        Some("begins with zeros, as a download leaves it that was cut off: copy it once more")
    } else if text.starts_with("version https://git-lfs.github.com/spec/") {
        Some("is a Git LFS pointer and not the model: fetch that by 'git lfs pull'")
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Some("is an HTML page and not the model: download the file itself")
    } else if head.starts_with(ZIP) || head.starts_with(b"\x1f\x8b") {
        Some("is an archive: unpack it")
    } else if head.get(4..8) == Some(b"ORTM") {
        Some("is in the ORT format of ONNX Runtime, which only the version that wrote it may read")
    } else {
        None
    }
}

/// Names another file in the version folder that may be the model file.
fn other(folder: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = entries.filter(|entry| !entry.starts_with('.')).collect();
    names.sort();
    if names.iter().any(|found| found == name) {
        // The file is listed in the folder but cannot be opened, so it may be a link whose target is missing.
        let target = fs::read_link(folder.join(name)).ok()?;
        return Some(format!("'{name}' is a link to '{}', which is not there", target.display()));
    }
    let of_its_kind = |found: &&String| Path::new(found).extension() == Path::new(name).extension();
    match (names.iter().find(of_its_kind), names.first()) {
        (Some(found), _) => Some(format!(
            "the version's folder has '{found}': name it by default_model_filename, or rename it to '{name}'"
        )),
        (None, Some(_)) => Some(format!("the version's folder has {}", names.join(", "))),
        (None, None) => Some("the version's folder is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &[u8])]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let config =
            ModelConfig { default_model_filename: "model.onnx".to_owned(), ..ModelConfig::default() };
        explained(Error::internal("no model"), folder.path(), &config).message().to_owned()
    }

    #[test]
    fn what_beginners_put_there_is_recognised() {
        let of = |content: &[u8]| said(&[("model.onnx", content)]);
        for (content, part) in [
            (&b""[..], "is empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
            (b"\n<!DOCTYPE html>\n<html>", "is an HTML page"),
            (&[0; 64], "begins with zeros"),
            (b"PK\x03\x04rest", "is an archive"),
            (b"\x18\0\0\0ORTM", "is in the ORT format"),
        ] {
            let said = of(content);
            assert!(said.starts_with("no model; '") && said.contains(part), "{said}");
        }
        assert_eq!(of(b"\x08\x0a\x12"), "no model", "nothing is plain to see");
    }

    #[test]
    fn a_file_under_another_name_is_found() {
        assert!(said(&[("net.onnx", b"x"), ("a.txt", b"")]).contains("has 'net.onnx': name it by"));
        assert!(said(&[("b.pb", b"x"), ("a.txt", b"")]).ends_with("the version's folder has a.txt, b.pb"));
        assert!(said(&[]).ends_with("the version's folder is empty"));
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("gone.onnx", folder.path().join("model.onnx")).unwrap();
        let said = other(folder.path(), "model.onnx").unwrap();
        assert_eq!(said, "'model.onnx' is a link to 'gone.onnx', which is not there");
    }
}
