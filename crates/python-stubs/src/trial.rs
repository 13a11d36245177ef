//! Whether a stub can start, which is tried before the backend starts one: it waits for ever for one that cannot.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

/// The name of a stub, in the folder of the backend or of a model.
pub const STUB: &str = "triton_python_backend_stub";

/// A stub without arguments says how it wants them and ends in milliseconds; a cold disk may hold many megabytes of libraries.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it says is read up to here.
const MOST_TEXT: usize = 4096;

/// The stub of a model: its own, or the backend's.
pub fn stub_of(backend: &Path, model: &Path) -> PathBuf {
    let own = model.join(STUB);
    if own.is_file() { own } else { backend.join(STUB) }
}

/// Tries the stub, in the environment that the model names, if that is a folder.
///
/// # Errors
/// Why it cannot start, and what helps: a whole text, without the model's name.
pub fn run(stub: &Path, environment: Option<&Path>) -> Result<(), String> {
    let Ok(about) = stub.metadata() else {
        return Err(format!(
            "the Python backend's stub {} is missing: `scripts/fetch python-backend` brings the backend with its stubs; of a \
             wheel of nvidia-pytriton, copy python_backend_stubs/3.N/{STUB} for the Python 3.N that is there",
            stub.display()
        ));
    };
    if about.permissions().mode() & 0o111 == 0
        || about.permissions().mode() & 0o777 == 0o100 && is_foreign(&about)
    {
        return Err(format!("{} may not be executed: chmod 755 helps", stub.display()));
    }
    let mut command = match environment {
        None => Command::new(stub),
        Some(folder) => within(folder, stub)?,
    };
    // A pipe would have to be read while the stub runs, and would not end before all that it has started.
    let said = memfd_create("said by a stub", MemfdFlags::CLOEXEC).map(File::from);
    let said = said.map_err(|error| format!("no memory for what a stub says: {error}"))?;
    let errors = said.try_clone().map_err(|error| format!("no descriptor for what a stub says: {error}"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let mut child =
        command.spawn().map_err(|error| format!("{} cannot be started: {error}", stub.display()))?;
    let ended = wait(&mut child).map_err(|error| format!("{} cannot be awaited: {error}", stub.display()))?;
    let Some(status) = ended else {
        return Err(format!(
            "{} did not end within {} s when it was tried without arguments",
            stub.display(),
            PATIENCE.as_secs()
        ));
    };
    if status.code() == Some(1) { Ok(()) } else { Err(told(stub, status, &text(&said))) }
}

/// Whether somebody else owns it, so that the execute bit of its owner does not count.
fn is_foreign(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid();
    !own.is_root() && about.uid() != own.as_raw()
}

/// The command by which the backend starts a stub in an environment.
fn within(environment: &Path, stub: &Path) -> Result<Command, String> {
    let activate = environment.join("bin").join("activate");
    if !activate.is_file() {
        let what =
            if environment.try_exists().unwrap_or(true) { "has no bin/activate" } else { "is not there" };
        return Err(format!(
            "EXECUTION_ENV_PATH names {}, which {what}: it has to be a folder with an environment or an archive \
             made by conda-pack",
            environment.display()
        ));
    }
    let mut command = Command::new("bash");
    let script =
        r#"source "$0/bin/activate" && export LD_LIBRARY_PATH="$0/lib:$LD_LIBRARY_PATH" && exec "$1""#;
    command.arg("-c").arg(script).arg(environment).arg(stub);
    Ok(command)
}

/// Waits for the end; `None` if it did not come in time, and the process was ended.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What it wrote before it ended, on one line.
fn text(said: &File) -> String {
    let mut text = vec![0; MOST_TEXT];
    // What cannot be read is not told.
    let read = said.read_at(&mut text, 0).unwrap_or(0);
    String::from_utf8_lossy(&text[..read]).trim().replace('\n', "; ")
}

fn told(stub: &Path, status: ExitStatus, said: &str) -> String {
    let mut text = format!("the Python backend's stub {} cannot start ({status}): {said}", stub.display());
    let library = said
        .split_whitespace()
        .map(|word| word.trim_end_matches(':'))
        .find(|word| word.contains("libpython"));
    if let Some(version) = library.and_then(|name| name.strip_prefix("libpython")?.split(".so").next()) {
        write!(
            text,
            ". It is made for Python {version}, whose shared library the loader does not find: install it (on Debian and \
             Ubuntu: apt-get install libpython{version}), or name its folder by LD_LIBRARY_PATH, or take the stub for the Python \
             that is there; `scripts/fetch python-backend` does that"
        )
        .ok();
    } else if said.contains("GLIBC") {
        text.push_str(". It is made for a newer C library than this system's");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join(STUB);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_stub_that_asks_for_arguments_can_start() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&written(folder.path(), "exit 1"), None), Ok(()));
    }

    #[test]
    fn a_missing_library_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo 'stub: error while loading shared libraries: libpython3.12.so.1.0: cannot open shared object \
                      file: No such file or directory' >&2; exit 127";
        let told = run(&written(folder.path(), script), None).unwrap_err();
        assert!(told.contains("apt-get install libpython3.12)"), "{told}");
        assert!(told.contains("exit status: 127"), "{told}");
    }

    #[test]
    fn whatever_else_ends_otherwise_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        for (script, expected) in [
            ("echo one >&2; echo two >&2; exit 3", "(exit status: 3): one; two"),
            ("kill -9 $$", "(signal: 9 (SIGKILL))"),
            ("exit 0", "(exit status: 0)"),
            ("head -c 1000000 /dev/zero >&2; exit 5", "exit"),
        ] {
            let told = run(&written(folder.path(), script), None).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn what_is_missing_or_not_executable_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let stub = folder.path().join(STUB);
        assert!(run(&stub, None).unwrap_err().contains("scripts/fetch python-backend"));
        fs::write(&stub, "x").unwrap();
        assert!(run(&stub, None).unwrap_err().contains("chmod 755"));
    }

    #[test]
    fn an_environment_is_activated_and_its_libraries_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "[ \"$HERE\" = yes ] && [ \"${LD_LIBRARY_PATH%%:*}\" = \"$EXPECTED/lib\" ] && exit 1; exit 9";
        let stub = written(folder.path(), script);
        let environment = folder.path().join("an environment");
        assert!(run(&stub, Some(&environment)).unwrap_err().contains("is not there"));
        fs::create_dir_all(environment.join("bin")).unwrap();
        let activate = format!("export HERE=yes EXPECTED='{}'\n", environment.display());
        fs::write(environment.join("bin/activate"), activate).unwrap();
        assert_eq!(run(&stub, Some(&environment)), Ok(()));
    }

    #[test]
    fn a_models_own_stub_goes_first() {
        let (backend, model) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(stub_of(backend.path(), model.path()), backend.path().join(STUB));
        let own = written(model.path(), "exit 1");
        assert_eq!(stub_of(backend.path(), model.path()), own);
    }
}
