//! What a model will take of the memory, told by its files before it is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hippocamp_backend::ModelDirectories;
use hippocamp_lifecycle::{Job, Lifecycle, LoadOverrides, Repositories, composing_of, find_files};
use hippocamp_loading::{Prepared, prepare};
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::{ModelFolder, find};

/// A model that has to serve for another one, or the other one itself.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) composing: BTreeSet<String>,
}

/// A model and all that it is composed of, directly or not. Reads configs and sizes, and fetches what is elsewhere.
pub(crate) fn closure(lifecycle: &Lifecycle, name: &str) -> Vec<Part> {
    closure_with(lifecycle, name, &LoadOverrides::default())
}

/// The same with what a load request brought along for the model itself.
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
        let bytes = if composing.is_empty() { bytes(lifecycle, &name, &overrides) } else { 0 };
        parts.insert(name.clone(), Part { name, bytes, composing });
    }
    parts.into_values().collect()
}

/// What a model is composed of, directly or not.
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

/// What a model is estimated to take. One that cannot be loaded takes nothing: what is wrong shows when it is tried.
fn bytes(lifecycle: &Lifecycle, name: &str, overrides: &LoadOverrides) -> u64 {
    let Ok((folder, _files)) = find_files(lifecycle.repositories(), name, overrides) else { return 0 };
    let prepared = prepare(&lifecycle.loader().context, folder, overrides.config.as_deref());
    let Ok(prepared) = prepared else { return 0 };
    let directories = ModelDirectories { version: None, model: &prepared.folder.path };
    let backend = lifecycle.loader().context.backend(name, &prepared.config, directories);
    footprint(&prepared, backend.is_ok_and(|backend| backend.shares_files(&prepared.config)))
}

/// The sizes of all files of the versions that are served, for each instance once unless instances share them. What is
/// computed from them, and buffers, are not known before the model runs, and grow with them as a rule.
fn footprint(Prepared { folder, config, versions, .. }: &Prepared, shared: bool) -> u64 {
    let files = versions.iter().map(|&version| size(&folder.version_path(version), MAX_DEPTH));
    let times = if shared { 1 } else { instances(config) };
    files.fold(0, u64::saturating_add).saturating_mul(times)
}

fn instances(config: &ModelConfig) -> u64 {
    // Passive ones are not made.
    let groups = config.instance_group.iter().filter(|group| !group.passive);
    let each =
        groups.map(|group| u64::try_from(group.count).unwrap_or(1).max(1) * (group.gpus.len() as u64).max(1));
    each.sum::<u64>().max(1)
}

/// Folders in each other. More are a link that leads back.
const MAX_DEPTH: usize = 16;

/// Of a file, or of all files in a folder. What cannot be read counts nothing.
fn size(path: &Path, depth: usize) -> u64 {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() && depth > 0 => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| size(&entry.path(), depth - 1)).fold(0, u64::saturating_add)
        }
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    }
}

/// The model's folder if it is on this machine. `None` also where it may be in a store: to ask there takes as long as the load.
pub(crate) fn folder_here(repositories: &Repositories, name: &str) -> Option<ModelFolder> {
    if repositories.any_remote() {
        return None;
    }
    Some(find(&repositories.locations, name, &repositories.options).ok()??.folder)
}

/// The versions that a load of the model would serve, if it is on this machine: all that have a folder if its config cannot be
/// used.
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
