//! Estimates the memory that a model will need from the sizes of its files, before it is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hippocamp_backend::ModelDirectories;
use hippocamp_files::EnteredFolders;
use hippocamp_lifecycle::{Job, Lifecycle, LoadOverrides, Repositories, composing_of, find_files};
use hippocamp_loading::{Prepared, prepare};
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::{ModelFolder, find};

/// A model to be loaded, or one of its composing models. `bytes` is its estimated memory; an ensemble itself has 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) composing: BTreeSet<String>,
    /// The GPUs that it has instances on.
    pub(crate) gpus: BTreeSet<i32>,
    /// Whether it has instances on GPUs and nowhere else.
    pub(crate) is_on_gpus_only: bool,
}

/// A model and all its direct and indirect composing models. Reads configs and file sizes, and downloads models from remote
/// stores, so it may block.
pub(crate) fn closure(lifecycle: &Lifecycle, name: &str) -> Vec<Part> {
    closure_with(lifecycle, name, &LoadOverrides::default())
}

/// As [`closure`], with the overrides of a load request for the model itself.
pub(crate) fn closure_with(lifecycle: &Lifecycle, name: &str, overrides: &LoadOverrides) -> Vec<Part> {
    let mut parts = BTreeMap::new();
    let mut open = vec![(name.to_owned(), overrides.clone())];
    while let Some((name, overrides)) = open.pop() {
        if parts.contains_key(&name) {
            continue;
        }
        let job = Job::explicit(name.clone(), overrides.clone());
        let composing = composing_of(lifecycle.repositories(), &job).unwrap_or_default();
        open.extend(composing.iter().map(|part| (part.clone(), LoadOverrides::default())));
        let part = Part { name: name.clone(), composing, ..Part::default() };
        let part = if part.composing.is_empty() { estimated(lifecycle, part, &overrides) } else { part };
        parts.insert(name, part);
    }
    parts.into_values().collect()
}

/// The names of a model's direct and indirect composing models. Reads configs, so it may block.
pub(crate) fn composing(repositories: &Repositories, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let parts =
            composing_of(repositories, &Job::explicit(name, LoadOverrides::default())).unwrap_or_default();
        open.extend(parts.into_iter().filter(|part| all.insert(part.clone())));
    }
    all
}

/// A model with its estimated memory in bytes; 0 for a model that cannot be loaded, as its load will report the error.
fn estimated(lifecycle: &Lifecycle, part: Part, overrides: &LoadOverrides) -> Part {
    let Ok((folder, _files)) = find_files(lifecycle.repositories(), &part.name, overrides) else {
        return part;
    };
    let prepared = prepare(&lifecycle.loader().context, folder, overrides.config.as_deref());
    let Ok(prepared) = prepared else { return part };
    let directories = ModelDirectories {
        version: None,
        model: &prepared.folder.path,
        came_with_request: prepared.folder.came_with_request,
    };
    let backend = lifecycle.loader().context.backend(&part.name, &prepared.config, directories);
    let shared = backend.is_ok_and(|backend| backend.shares_files(&prepared.config));
    let groups = || prepared.config.instance_group.iter().filter(|group| !group.passive);
    let gpus: BTreeSet<i32> = groups().flat_map(|group| group.gpus.iter().copied()).collect();
    Part {
        bytes: footprint(&prepared, shared),
        is_on_gpus_only: !gpus.is_empty() && groups().all(|group| !group.gpus.is_empty()),
        gpus,
        ..part
    }
}

/// The total size of the files of all served versions in bytes, times the number of instances unless these share the files.
/// Buffers and derived data are not counted, because they are unknown before the model runs.
fn footprint(Prepared { folder, config, versions, .. }: &Prepared, shared: bool) -> u64 {
    let files = versions
        .iter()
        .map(|&version| size(&folder.version_path(version), MAX_DEPTH, &mut EnteredFolders::default()));
    let times = if shared { 1 } else { instances(config) };
    files.fold(0, u64::saturating_add).saturating_mul(times)
}

fn instances(config: &ModelConfig) -> u64 {
    // No instances are made for passive groups.
    let groups = config.instance_group.iter().filter(|group| !group.passive);
    let each =
        groups.map(|group| u64::try_from(group.count).unwrap_or(1).max(1) * (group.gpus.len() as u64).max(1));
    each.sum::<u64>().max(1)
}

/// The maximum depth of nested folders.
const MAX_DEPTH: usize = 16;

/// The size in bytes of a file, or of all files in a folder that was not entered yet. Files that cannot be read count as 0.
fn size(path: &Path, depth: usize, entered: &mut EnteredFolders) -> u64 {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() && depth > 0 && entered.enter(&metadata) => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| size(&entry.path(), depth - 1, entered)).fold(0, u64::saturating_add)
        }
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    }
}

/// The model's folder in a local repository. `None` if there is none or if any repository is remote, because asking a store
/// may take as long as the load.
pub(crate) fn folder_here(repositories: &Repositories, name: &str) -> Option<ModelFolder> {
    if repositories.any_remote() {
        return None;
    }
    Some(find(&repositories.locations, name, &repositories.options).ok()??.folder)
}

/// The versions that a load of the model would serve; `None` if it is not in a local repository. If its config is invalid,
/// all versions with a folder.
pub(crate) fn versions_here(lifecycle: &Lifecycle, name: &str) -> Option<Vec<u64>> {
    let folder = folder_here(lifecycle.repositories(), name)?;
    let all: Vec<u64> = folder.versions.iter().copied().collect();
    let selected = prepare(&lifecycle.loader().context, folder, None).map(|prepared| prepared.versions);
    Some(selected.unwrap_or(if all.is_empty() { vec![1] } else { all }))
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::Backends;
    use hippocamp_device::Devices;
    use hippocamp_loading::{Context, LoadSettings};

    use super::*;

    #[test]
    fn counts_the_files_of_served_versions_for_each_instance() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = folder.path().join("m").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("1/model", "not served");
        write("2/model", "12345");
        write("2/weights/part", "678");
        std::os::unix::fs::symlink("..", folder.path().join("m/2/weights/again")).unwrap();
        write("labels.txt", "not a version's");
        write(
            "config.pbtxt",
            "backend: \"b\" instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_CPU } ]",
        );
        let read = ModelFolder::read("m", &folder.path().join("m"), None).unwrap();
        let context = Context::new(Backends::default(), &Devices::default(), LoadSettings::default());
        let prepared = prepare(&context, read, None).unwrap();
        assert_eq!(footprint(&prepared, false), 3 * 8);
        assert_eq!(footprint(&prepared, true), 8);
    }
}
