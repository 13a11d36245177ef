//! The files of a port's TLS, which are read again when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hippocamp_files::Stamp;
use parking_lot::Mutex;
use rustls::ServerConfig;

use crate::config::{Fault, File, Pem, is_ed25519, server_config};

/// The largest file in bytes.
const LARGEST: u64 = 1 << 20;

/// The files of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, with those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates that sign those of clients; `None` if clients need none.
    pub roots: Option<PathBuf>,
}

impl TlsFiles {
    fn all(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.certificate), Some(&self.key), self.roots.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    fn path(&self, file: File) -> &Path {
        match file {
            File::Certificate => &self.certificate,
            File::Key => &self.key,
            File::Roots => self.roots.as_deref().unwrap_or(Path::new("")),
        }
    }
}

/// Why the files of a port cannot be used. The text names the flag and the file, and says what would help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The TLS of a port.
pub struct Tls {
    port: &'static str,
    files: TlsFiles,
    protocols: &'static [&'static str],
    config: ArcSwap<ServerConfig>,
    stamp: Mutex<Stamp>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("port", &self.port).field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. `port` is the first word of the flags that name them, for errors; `protocols` are those that the port
    /// speaks, for ALPN, in its order of preference.
    pub fn read(
        port: &'static str,
        files: TlsFiles,
        protocols: &'static [&'static str],
    ) -> Result<Arc<Tls>, TlsError> {
        // Looked at before they are read, so that a change in between is found later.
        let stamp = Mutex::new(Stamp::of(files.all()));
        let config = read(&files, protocols).map_err(|fault| error(port, &files, &fault))?;
        Ok(Arc::new(Tls { port, files, protocols, config: ArcSwap::from_pointee(config), stamp }))
    }

    /// Reads the files again if one has changed. True if connections from now on begin with other settings. On an error the
    /// old ones stay, and nothing is read until a file changes once more.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut known = self.stamp.lock();
        let stamp = Stamp::of(self.files.all());
        if stamp == *known {
            return Ok(false);
        }
        *known = stamp;
        let config =
            read(&self.files, self.protocols).map_err(|fault| error(self.port, &self.files, &fault))?;
        self.config.store(Arc::new(config));
        Ok(true)
    }

    /// The settings that a new connection begins with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether the server's key is one of Ed25519, which the clients of gRPC's C core refuse: Python's, C++'s and others. Reads
    /// the key's file.
    pub fn is_ed25519(&self) -> bool {
        hippocamp_files::read(&self.files.key, LARGEST).is_ok_and(|key| is_ed25519(&key))
    }

    /// The first word of the port's flags.
    pub fn port(&self) -> &'static str {
        self.port
    }
}

fn read(files: &TlsFiles, protocols: &[&str]) -> Result<ServerConfig, Fault> {
    let content =
        |file: File| hippocamp_files::read(files.path(file), LARGEST).map_err(|e| file.fault(e.to_string()));
    let (certificate, key) = (content(File::Certificate)?, content(File::Key)?);
    let roots = files.roots.as_ref().map(|_| content(File::Roots)).transpose()?;
    server_config(Pem { certificate: &certificate, key: &key, roots: roots.as_deref() }, protocols)
}

fn error(port: &str, files: &TlsFiles, fault: &Fault) -> TlsError {
    let flag = match fault.file {
        File::Certificate => "server-cert",
        File::Key => "server-key",
        File::Roots => "root-cert",
    };
    let path = files.path(fault.file).display();
    TlsError(format!("--{port}-{flag}={path} cannot be used: {}", fault.why))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(folder: &Path) -> (TlsFiles, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), &key).unwrap();
        let files =
            TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem"), roots: None };
        (files, key)
    }

    #[test]
    fn changed_files_are_read_again_and_a_fault_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = write(folder.path());
        let tls = Tls::read("http", files, &["h2", "http/1.1"]).unwrap();
        let first = tls.config();
        assert!(!tls.reload().unwrap());
        // A new pair: both files are written, one after the other.
        fs::remove_file(folder.path().join("key.pem")).unwrap();
        let fault = tls.reload().unwrap_err().to_string();
        assert!(
            fault.starts_with("--http-server-key=") && fault.contains("key.pem cannot be used: No such"),
            "{fault}"
        );
        assert!(!tls.reload().unwrap(), "the fault is told once");
        assert!(Arc::ptr_eq(&first, &tls.config()));
        write(folder.path());
        assert!(tls.reload().unwrap());
        assert!(!Arc::ptr_eq(&first, &tls.config()));
    }

    #[test]
    fn a_missing_file_is_named_with_its_flag() {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, _) = write(folder.path());
        files.roots = Some("/nowhere/root.pem".into());
        let fault = Tls::read("grpc", files.clone(), &["h2"]).unwrap_err().to_string();
        assert!(
            fault.starts_with("--grpc-root-cert=/nowhere/root.pem cannot be used: No such file"),
            "{fault}"
        );
        files.roots = None;
        files.certificate = folder.path().to_owned();
        let fault = Tls::read("grpc", files, &["h2"]).unwrap_err().to_string();
        assert!(fault.contains("cannot be used: it is a folder, expected a regular file"), "{fault}");
    }
}
