//! Opens unix sockets: one that a dead server left is replaced, one that is in use is not.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::net::UnixListener;

/// A socket's file, which is removed when this is dropped, if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // There is nobody to tell if it fails.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Listens on a unix socket. It appears under its name with its permissions, in one step.
pub(crate) fn open(path: &Path, mode: u32) -> anyhow::Result<(UnixListener, SocketFile)> {
    make_way(path)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let listener = UnixListener::bind(&fresh)?;
    let named =
        fs::set_permissions(&fresh, Permissions::from_mode(mode)).and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = named {
        drop(fs::remove_file(&fresh));
        return Err(error.into());
    }
    let identity = identity(path)?;
    Ok((listener, SocketFile { path: path.to_owned(), identity }))
}

/// Fails unless nothing lies at the path, or a socket on which nobody listens.
fn make_way(path: &Path) -> anyhow::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if !metadata.file_type().is_socket() {
        bail!("something lies there that is no socket, and is left alone; choose another path");
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("another process listens there; stop it, or choose another path"),
        Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(e) => Err(e).context("a socket lies there, and whether it is in use cannot be found out"),
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.try_exists().unwrap(), "the file outlives its server");
        let (_listener, file) = open(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        UnixStream::connect(&path).unwrap();
        let fault = open(&path, 0o640).unwrap_err().to_string();
        assert!(fault.contains("another process listens there"), "{fault}");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        fs::write(&path, "x").unwrap();
        assert!(open(&path, 0o600).unwrap_err().to_string().contains("is no socket"));
        fs::remove_file(&path).unwrap();
        let (_listener, file) = open(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "y").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "y", "it belongs to somebody else by now");
    }
}
