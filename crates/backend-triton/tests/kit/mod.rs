//! Backends in C, compiled when a test wants them, and servers with models of theirs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hippocamp_backend_triton::{HostSettings, TritonBackends};
use hippocamp_testing::{Repository, TestServer};

/// A directory of backends, removed when dropped, with the probe in it.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) folder: tempfile::TempDir,
}

impl Backends {
    /// With the backend `probe`, whose library wants the server's under that name.
    pub(crate) fn with_probe(server_library: &str) -> Backends {
        let backends = Backends { folder: tempfile::tempdir().expect("a folder") };
        backends.compile("probe", &source("probe.c"), server_library);
        backends
    }

    /// Compiles a library that is no backend, to that path.
    pub(crate) fn compile_to(&self, path: &Path, source: &Path) {
        let made = self.compile("other", source, "libtritonserver.so");
        fs::rename(made, path).expect("it was made");
    }

    /// Compiles a backend from a C file. The library that it is linked with is removed again.
    pub(crate) fn compile(&self, name: &str, source: &Path, server_library: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let (server, library) = (folder.join(server_library), folder.join(format!("libtriton_{name}.so")));
        let empty = folder.join("empty.c");
        fs::write(&empty, "").expect("a file");
        let soname = format!("-Wl,-soname,{server_library}");
        compile(&["-shared", "-fPIC", &soname, "-o"], &[&server, &empty]);
        // Some compilers would have a table of calls that cannot be written.
        compile(
            &["-shared", "-fPIC", "-pthread", "-Wl,--no-as-needed", "-Wl,-z,lazy", "-o"],
            &[&library, source, &server],
        );
        fs::remove_file(server).expect("it was made");
        fs::remove_file(empty).expect("it was made");
        library
    }

    /// Compiles the backend `own_library` with the library beside it. Returns another version of that, elsewhere and under another file
    /// name.
    pub(crate) fn compile_with_own_library(&self) -> PathBuf {
        let source = source("own_library.c");
        let backend = self.compile("own_library", &source, "libtritonserver.so");
        let folder = backend.parent().expect("it has a folder");
        let elsewhere = self.folder.path().join("engine.so");
        let beside = folder.join("libonnxruntime.so.1");
        for (version, library) in [("-DVERSION=1", &elsewhere), ("-DVERSION=2", &beside)] {
            compile(
                &["-shared", "-fPIC", "-Wl,-soname,libonnxruntime.so.1", version, "-o"],
                &[library, &source],
            );
        }
        compile(&["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", "-o"], &[&backend, &source, &beside]);
        elsewhere
    }

    pub(crate) fn settings(&self) -> HostSettings {
        HostSettings { backend_directory: self.folder.path().to_owned(), ..HostSettings::default() }
    }

    /// The file in which the probe notes its calls.
    pub(crate) fn events(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    /// The settings with which the probe notes its calls.
    pub(crate) fn noted(&self) -> HostSettings {
        let path = self.events().display().to_string();
        HostSettings { config: vec![("probe".into(), "events".into(), path)], ..self.settings() }
    }

    pub(crate) fn events_so_far(&self) -> Vec<String> {
        let text = fs::read_to_string(self.events()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kit").join(name)
}

fn compile(flags: &[&str], files: &[&Path]) {
    // As `scripts/test sanitized` wants it: the runtime of AddressSanitizer is in the test's own program.
    let sanitized = std::env::var("HIPPOCAMP_SANITIZED").is_ok_and(|value| value == "1");
    let checks: &[&str] =
        if sanitized { &["-fsanitize=address", "-g", "-nodefaultlibs", "-lc"] } else { &[] };
    let output = Command::new("cc").args(flags).args(files).arg("-Wall").args(checks).output();
    let output = output.expect("there is a C compiler, cc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The text of a config for the probe: `IN` and `OUT` of INT32, as far as `rest` does not say otherwise.
pub(crate) fn config(mode: &str, rest: &str) -> String {
    format!("backend: \"probe\" parameters {{ key: \"mode\" value {{ string_value: \"{mode}\" }} }} {rest}")
}

/// The tensors of most models.
pub(crate) const TENSORS: &str = "max_batch_size: 8 \
    input { name: \"IN\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: -1 }";

/// A server with these models, and what could not be loaded.
pub(crate) async fn start(settings: HostSettings, models: &[(&str, String)]) -> (TestServer, Vec<String>) {
    let mut repository = Repository::default();
    for (name, config) in models {
        repository = repository.with(name, config);
    }
    TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(TritonBackends::new(settings))]).await
}
