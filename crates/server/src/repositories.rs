//! Opens the repositories that the command line names. The only place that reads the environment for object stores.

use std::path::{Path, PathBuf};

use hippocamp_repository::RepositoryLocation;

/// Opens repositories in the given order. Folders are read later; for object stores, credentials and cache folder are
/// checked now.
pub(crate) fn open(locations: &[PathBuf]) -> anyhow::Result<Vec<RepositoryLocation>> {
    let stores: Vec<&str> = locations.iter().filter_map(|l| l.to_str()).filter(|l| is_store(l)).collect();
    let mut opened = remote(&stores)?.into_iter();
    let each = locations.iter().map(|location| match location.to_str() {
        Some(url) if is_store(url) => opened.next().unwrap_or_else(|| location.clone().into()),
        _ => absolute(location).into(),
    });
    Ok(each.collect())
}

/// The same folder for as long as the server runs: Triton's Python backend works in another folder while it unpacks an environment.
pub(crate) fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether the location is an object store's URL rather than a path.
fn is_store(location: &str) -> bool {
    ["s3://", "gs://", "as://"].iter().any(|scheme| location.starts_with(scheme))
}

/// Opens one object store for each URL.
#[cfg(feature = "object-store")]
fn remote(urls: &[&str]) -> anyhow::Result<Vec<RepositoryLocation>> {
    use std::sync::Arc;

    use anyhow::Context;
    use hippocamp_repository_store::Stores;

    if urls.is_empty() {
        return Ok(Vec::new());
    }
    let stores = Stores::new().context("failed to start the threads for object stores")?;
    let variables = |name: &str| std::env::var(name).ok();
    let opened = urls.iter().map(|url| {
        let store = stores.open(url, &variables)?;
        Ok(RepositoryLocation::Remote(Arc::new(store)))
    });
    opened.collect()
}

#[cfg(not(feature = "object-store"))]
fn remote(urls: &[&str]) -> anyhow::Result<Vec<RepositoryLocation>> {
    match urls.first() {
        None => Ok(Vec::new()),
        Some(url) => anyhow::bail!("'{url}' cannot be served: this build is without object stores"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_stores_keep_their_order() {
        let plain = open(&["/models".into(), "s3:/not/a/store".into()]).unwrap();
        assert!(plain.iter().all(|location| matches!(location, RepositoryLocation::Local(_))));
        let here = std::env::current_dir().unwrap();
        assert_eq!(plain[1].to_string(), here.join("s3:/not/a/store").to_string_lossy());
        assert!(open(&["s3://".into()]).is_err());
    }
}
