//! A model repository in a temporary folder.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A repository that is deleted when dropped. All methods panic on IO errors.
#[derive(Debug)]
pub struct Repository(TempDir);

impl Default for Repository {
    fn default() -> Self {
        Repository(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl Repository {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds a model without model files: its config, and version 1.
    #[must_use]
    pub fn with(self, name: &str, config: &str) -> Repository {
        self.write(&format!("{name}/config.pbtxt"), config);
        self.version(name, 1);
        self
    }

    /// Creates an empty version folder.
    pub fn version(&self, name: &str, version: u64) {
        fs::create_dir_all(self.path().join(name).join(version.to_string())).expect("a version folder");
    }

    /// Writes a file at a path relative to the repository; creates missing folders.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
}

/// The config of an identity model with one FP32 input of any width. `more` is appended verbatim.
pub fn identity_config(max_batch_size: u32, more: &str) -> String {
    format!(
        "backend: \"identity\" max_batch_size: {max_batch_size}\n\
         input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }}\n\
         output {{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }}\n\
         instance_group {{ count: 1 kind: KIND_CPU }}\n{more}\n"
    )
}
