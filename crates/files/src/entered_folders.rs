//! Folders that were entered on a walk that follows links.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The folders that a walk has entered. Links may lead to a folder by many ways, even from within itself: with a few such links
/// there are more paths than any walk can end.
#[derive(Clone, Debug, Default)]
pub struct EnteredFolders(BTreeSet<(u64, u64)>);

impl EnteredFolders {
    /// Notes a folder. Whether it is to be entered: `false` for a folder that was noted before.
    pub fn enter(&mut self, folder: &Metadata) -> bool {
        self.0.insert((folder.dev(), folder.ino()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_entered_once_by_whatever_links() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        symlink("..", folder.path().join("a/up")).unwrap();
        let mut entered = EnteredFolders::default();
        let entered = ["", "a", "b", "a/up", "b/up/b"]
            .map(|path| entered.enter(&fs::metadata(folder.path().join(path)).unwrap()));
        assert_eq!(entered, [true, true, false, false, false]);
    }
}
