//! A look at all repositories.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{ModelFolder, check_name};

/// Something in a repository that cannot be used. Everything else can.
#[derive(Debug, Error)]
pub enum ScanFault {
    #[error("failed to read model repository '{}': {source}", path.display())]
    Repository { path: PathBuf, source: std::io::Error },
    #[error("failed to read the folder of model '{name}': {source}")]
    Model { name: String, source: std::io::Error },
    #[error("ignored folder {name:?} in model repository '{}': not a model's name, {reason}", repository.display())]
    Name { name: String, repository: PathBuf, reason: String },
    #[error(
        "model '{name}' is in more than one repository: '{}' and '{}'; keep one of them",
        first.display(),
        second.display()
    )]
    Duplicate { name: String, first: PathBuf, second: PathBuf },
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    pub models: BTreeMap<String, ModelFolder>,
    pub faults: Vec<ScanFault>,
}

/// Looks at every folder of every repository. `config_name` is the custom config that is preferred where a model has it.
pub fn scan(repositories: &[PathBuf], config_name: Option<&str>) -> Scan {
    let mut scan = Scan::default();
    let mut duplicates = Vec::new();
    for repository in repositories {
        match model_names(repository, &mut scan.faults) {
            Ok(names) => {
                for name in names {
                    match ModelFolder::read(&name, &repository.join(&name), config_name) {
                        Ok(folder) => {
                            if let Some(other) = scan.models.insert(name.clone(), folder) {
                                duplicates.push((name, other.path, repository.clone()));
                            }
                        }
                        Err(source) => scan.faults.push(ScanFault::Model { name, source }),
                    }
                }
            }
            Err(source) => scan.faults.push(ScanFault::Repository { path: repository.clone(), source }),
        }
    }
    for (name, first, repository) in duplicates {
        scan.models.remove(&name);
        let second = repository.join(&name);
        scan.faults.push(ScanFault::Duplicate { name, first, second });
    }
    scan
}

/// Looks for one model, without reading the others. `None` if no repository has it.
pub fn find(
    repositories: &[PathBuf],
    name: &str,
    config_name: Option<&str>,
) -> Result<Option<ModelFolder>, ScanFault> {
    let mut paths = repositories.iter().map(|r| r.join(name)).filter(|path| path.is_dir());
    let Some(path) = paths.next() else { return Ok(None) };
    if let Some(second) = paths.next() {
        return Err(ScanFault::Duplicate { name: name.to_owned(), first: path, second });
    }
    let folder = ModelFolder::read(name, &path, config_name);
    folder.map(Some).map_err(|source| ScanFault::Model { name: name.to_owned(), source })
}

/// The models' names in one repository. Hidden folders are passed over in silence: tools leave them everywhere.
fn model_names(repository: &Path, faults: &mut Vec<ScanFault>) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || !fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let reason = match entry.file_name().to_str().map(check_name) {
            Some(Ok(())) => {
                names.push(name);
                continue;
            }
            Some(Err(fault)) => fault.to_string(),
            None => "it is not UTF-8".to_owned(),
        };
        faults.push(ScanFault::Name { name, repository: repository.to_owned(), reason });
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(models: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for model in models {
            fs::create_dir_all(folder.path().join(model).join("1")).unwrap();
        }
        folder
    }

    #[test]
    fn finds_models_and_passes_over_the_rest() {
        let folder = repository(&["b", "a", "a\nb", ".hidden"]);
        fs::write(folder.path().join("README.md"), "").unwrap();
        let scan = scan(&[folder.path().to_owned()], None);
        assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(matches!(&scan.faults[..], [ScanFault::Name { name, .. }] if name == "a\nb"));
    }

    #[test]
    fn a_name_in_two_repositories_is_not_served_from_either() {
        let (one, two) = (repository(&["a", "b"]), repository(&["b", "c"]));
        let paths = [one.path().to_owned(), two.path().to_owned()];
        let scan = scan(&paths, None);
        assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert!(matches!(&scan.faults[..], [ScanFault::Duplicate { name, .. }] if name == "b"));
        assert!(matches!(find(&paths, "b", None), Err(ScanFault::Duplicate { .. })));
        assert_eq!(find(&paths, "c", None).unwrap().map(|f| f.path), Some(two.path().join("c")));
        assert_eq!(find(&paths, "d", None).unwrap(), None);
    }

    #[test]
    fn a_repository_that_is_not_there_does_not_hide_the_others() {
        let folder = repository(&["a"]);
        let scan = scan(&[PathBuf::from("not/there"), folder.path().to_owned()], None);
        assert!(scan.models.contains_key("a"));
        assert!(matches!(&scan.faults[..], [ScanFault::Repository { .. }]));
    }
}
