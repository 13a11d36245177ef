//! The rules of the file of `--auth-config`, which are read anew when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hippocamp_files::Stamp;
use parking_lot::Mutex;

use crate::auth_file;
use crate::restriction::{Protocol, Restrictions};
use crate::roles::{Caller, Token};

/// Why a file of tokens cannot be used. The text names the file and never shows a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(pub(crate) String);

/// What a file of tokens says.
#[derive(Debug)]
pub(crate) struct Rules {
    /// `None` if the file has no tokens, only restrictions.
    pub(crate) tokens: Option<Tokens>,
    pub(crate) http: Restrictions,
    pub(crate) grpc: Restrictions,
    pub(crate) open_metrics: bool,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<Token>,
    /// Those who send no token.
    pub(crate) anonymous: Arc<Caller>,
}

impl Rules {
    pub(crate) fn restrictions(&self, protocol: Protocol) -> &Restrictions {
        match protocol {
            Protocol::Http => &self.http,
            Protocol::Grpc => &self.grpc,
        }
    }
}

/// The tokens and restrictions of a file, for all protocols of a server.
pub struct Auth {
    path: PathBuf,
    rules: ArcSwap<Rules>,
    /// The files that the rules were read from, and how they were.
    read: Mutex<(Vec<PathBuf>, Stamp)>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Auth {
    /// Reads a file, and the files of secrets that it names, which are relative to its folder.
    pub fn read(path: &Path) -> Result<Arc<Auth>, AuthError> {
        // Looked at before anything is read, so that a change in between is found later.
        let mut files = vec![path.to_owned()];
        let file = auth_file::read(path)?;
        files.extend(file.secret_files(path));
        let stamp = Stamp::of(&files);
        let rules = auth_file::rules(path, auth_file::read(path)?)?;
        Ok(Arc::new(Auth {
            path: path.to_owned(),
            rules: ArcSwap::from_pointee(rules),
            read: Mutex::new((files, stamp)),
        }))
    }

    /// Reads the files again if they have changed. True if other rules hold now. On an error the old ones stay, and nothing is
    /// read until the files change once more.
    pub fn reload(&self) -> Result<bool, AuthError> {
        let mut read = self.read.lock();
        if Stamp::of(&read.0) == read.1 {
            return Ok(false);
        }
        // Also what only the new text names is followed: if that is what is missing, it may come later. Looked at before it is
        // read, as at the start.
        if let Ok(file) = auth_file::read(&self.path) {
            let mut named = file.secret_files(&self.path);
            named.retain(|file| !read.0.contains(file));
            read.0.extend(named);
        }
        read.1 = Stamp::of(&read.0);
        let fresh = Auth::read(&self.path)?;
        *read = fresh.read.lock().clone();
        self.rules.store(fresh.rules.load_full());
        Ok(true)
    }

    pub(crate) fn rules(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.rules.load()
    }
}
