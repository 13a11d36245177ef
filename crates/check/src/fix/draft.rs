//! A model whose config is tried in several forms before one of them is written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hippocamp_files as files;

use super::Change;
use super::overlay::Overlay;
use super::write::write_config;

const CONFIG: &str = "config.pbtxt";

/// Repositories of links to the real ones, but for the config of one model, which can be written there without being written.
#[derive(Debug)]
pub struct Draft {
    overlay: Overlay,
    /// The config as it is tried.
    tried: PathBuf,
    /// The real config, and its text.
    path: PathBuf,
    text: String,
}

impl Draft {
    /// `None` if none of these folders has the model with a config.pbtxt that says something.
    ///
    /// # Errors
    /// If a folder or the config cannot be read, or no links can be made.
    pub fn new(roots: &[PathBuf], model: &str) -> io::Result<Option<Draft>> {
        let Some(number) = roots.iter().position(|root| root.join(model).is_dir()) else { return Ok(None) };
        let path = std::path::absolute(roots[number].join(model).join(CONFIG))?;
        if !path.try_exists()? {
            return Ok(None);
        }
        let text = files::read_text(&path, files::TEXT_LIMIT)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        // With something before that it is not, so that it counts as a change.
        let (before, after) = (String::new(), text.clone());
        let change = Change { config: Some(PathBuf::from(CONFIG)), before, after, moves: Vec::new() };
        let overlay = Overlay::new(roots, &BTreeMap::from([((number, model.to_owned()), change)]))?;
        let tried = overlay.roots[number].join(model).join(CONFIG);
        Ok(Some(Draft { overlay, tried, path, text }))
    }

    /// The repositories that have the draft.
    pub fn roots(&self) -> &[PathBuf] {
        &self.overlay.roots
    }

    /// The real config's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The real config's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the model of [`roots`](Draft::roots) another config.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn try_out(&self, text: &str) -> io::Result<()> {
        fs::write(&self.tried, text)
    }

    /// Writes the real config.
    ///
    /// # Errors
    /// If it was changed since it was read, or cannot be written.
    pub fn write(&self, text: &str) -> Result<(), String> {
        write_config(&self.path, &self.text, text)
    }

    /// A message with the real paths instead of those of the draft.
    pub fn with_real_paths(&self, message: &str) -> String {
        self.overlay.with_real_paths(message)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_tried_does_not_touch_the_real_config() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("models");
        fs::create_dir_all(root.join("m/1")).unwrap();
        fs::create_dir_all(root.join("other/1")).unwrap();
        fs::write(root.join("m/1/model.onnx"), "weights").unwrap();
        fs::write(folder.path().join("elsewhere"), "backend: \"identity\"\n").unwrap();
        symlink("../../elsewhere", root.join("m/config.pbtxt")).unwrap();
        let roots = [root.clone()];
        let draft = Draft::new(&roots, "m").unwrap().unwrap();
        assert_eq!(draft.text(), "backend: \"identity\"\n");
        draft.try_out("backend: \"square\"\n").unwrap();
        let there = draft.roots()[0].join("m");
        assert_eq!(fs::read_to_string(there.join("config.pbtxt")).unwrap(), "backend: \"square\"\n");
        assert_eq!(fs::read_to_string(there.join("1/model.onnx")).unwrap(), "weights");
        assert!(draft.roots()[0].join("other/1").is_dir());
        let real = root.join("m/config.pbtxt");
        assert_eq!(fs::read_to_string(&real).unwrap(), draft.text());
        let told = draft.with_real_paths(&format!("{}: not good", there.join("config.pbtxt").display()));
        assert_eq!(told, format!("{}: not good", real.display()));
        draft.write("backend: \"repeat\"\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("elsewhere")).unwrap(), "backend: \"repeat\"\n");
        assert!(fs::symlink_metadata(&real).unwrap().is_symlink());
        assert_eq!(draft.write("backend: \"fail\"\n"), Err("it was changed meanwhile".to_owned()));
        for absent in ["other", "absent"] {
            assert!(Draft::new(&roots, absent).unwrap().is_none(), "{absent}");
        }
    }
}
