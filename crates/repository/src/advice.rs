//! Advice on common mistakes of new users, such as giving a model's folder as the repository.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{RepositoryLocation, Scan, ScanFault};

/// A mistake that was probably made. It is logged as a warning and keeps nothing from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The folder of a model is given as a repository.
    IsModel { path: PathBuf },
    /// There is no model in any repository.
    NoModel { repositories: Vec<String>, example: PathBuf },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Advice::IsModel { path } => {
                let above = path.parent().unwrap_or(Path::new("/"));
                let (path, above) = (path.display(), above.display());
                write!(
                    f,
                    "'{path}' is a model's folder; the model repository is the folder that it lies in: '{above}'"
                )
            }
            Advice::NoModel { repositories, example } => write!(
                f,
                "there is no model in {}: a model repository has a folder for each model, with a folder for each version \
                 in it, such as '{}'",
                repositories.join(" and "),
                example.display()
            ),
        }
    }
}

/// The advice on these repositories, given what a scan of them found.
pub fn advice(repositories: &[RepositoryLocation], found: &Scan) -> Vec<Advice> {
    let local = repositories.iter().filter_map(|repository| match repository {
        RepositoryLocation::Local(path) => Some(path),
        RepositoryLocation::Remote(_) => None,
    });
    let mut all: Vec<Advice> = local
        .clone()
        .filter(|path| is_model(path))
        .map(|path| Advice::IsModel { path: absolute(path) })
        .collect();
    if all.is_empty() && found.models.is_empty() && found.faults.iter().all(ScanFault::is_warning) {
        let names = repositories.iter().map(|repository| format!("'{repository}'")).collect();
        let first = local.map(PathBuf::as_path).next().unwrap_or(Path::new("models"));
        all.push(Advice::NoModel { repositories: names, example: first.join("resnet50/1/model.onnx") });
    }
    all
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the folder is a model's: it has a config, or a version folder with a model file.
fn is_model(path: &Path) -> bool {
    if fs::symlink_metadata(path.join("config.pbtxt")).is_ok() {
        return true;
    }
    let Ok(entries) = fs::read_dir(path) else { return false };
    let is_version = |name: &str| !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    let versions = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_version));
    versions.flat_map(|version| fs::read_dir(version.path())).flatten().flatten().any(|file| {
        file.file_name().to_str().is_some_and(|name| name.starts_with("model.")) && file.path().is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScanOptions, scan};

    fn said(path: &Path) -> Vec<String> {
        let repositories = [RepositoryLocation::from(path)];
        let found = scan(&repositories, &ScanOptions::default());
        advice(&repositories, &found).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn says_what_beginners_need_and_nothing_of_a_sound_repository() {
        let folder = tempfile::tempdir().unwrap();
        assert!(said(folder.path())[0].starts_with("there is no model in '"));
        fs::create_dir_all(folder.path().join("resnet/1")).unwrap();
        assert_eq!(said(folder.path()), [""; 0]);
        fs::write(folder.path().join("resnet/1/model.onnx"), "").unwrap();
        let model = folder.path().join("resnet");
        assert!(
            said(&model)[0].ends_with(&format!("lies in: '{}'", folder.path().display())),
            "{:?}",
            said(&model)
        );
        fs::create_dir(folder.path().join("other")).unwrap();
        fs::write(folder.path().join("other/config.pbtxt"), "").unwrap();
        assert_eq!(said(&folder.path().join("other")).len(), 1, "its config tells");
        assert_eq!(said(Path::new("/not/there")), [""; 0], "that is a fault");
    }
}
