//! The files of a model, unpacked from its archive.

use std::fs;
use std::path::Path;

use hippocamp_archive::{Archive, Content, ServedModel};
use hippocamp_repository::{RemoteFault, Snapshot, TemporaryFolder};

/// A folder with the files of one model. It is deleted when it is dropped.
#[derive(Debug)]
pub(crate) struct Unpacked(TemporaryFolder);

impl Snapshot for Unpacked {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Unpacks what a model needs, and nothing else. If it fails, nothing is left.
pub(crate) fn unpack(archive: &Path, model: &ServedModel) -> Result<Unpacked, RemoteFault> {
    let folder =
        TemporaryFolder::new().map_err(|error| RemoteFault(format!("no temporary folder: {error}")))?;
    let failed = |error: std::io::Error| RemoteFault(format!("its files cannot be written: {error}"));
    fs::write(folder.path().join("config.pbtxt"), model.config_text()).map_err(failed)?;
    let mut opened = None;
    for (path, content) in &model.files {
        let path = folder.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match content {
            Content::Text(text) => fs::write(&path, text).map_err(failed)?,
            Content::Entry(entry) => {
                let fault = |fault: hippocamp_archive::ArchiveFault| RemoteFault(fault.to_string());
                let archive = match &opened {
                    Some(archive) => archive,
                    None => opened.insert(Archive::open(archive).map_err(fault)?),
                };
                archive.copy(entry, &path).map_err(fault)?;
            }
        }
    }
    Ok(Unpacked(folder))
}
