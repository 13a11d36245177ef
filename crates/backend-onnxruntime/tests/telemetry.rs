//! Tests that ONNX Runtime stores and sends nothing about its use, in a program that is only linked to this crate.
//!
//! The test starts itself again in an environment without the variable and with empty user folders.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;

use kit::onnx::{Graph, element};
use kit::{input, load, numbers};

const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// The environment variable that tells the program that it was started by `start`.
const INNER: &str = "TELEMETRY_TEST_INNER";

/// All files in a folder and its subfolders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The sockets that are open now. `tests/clients/test_telemetry.py` also sees those that were closed again.
fn sockets() -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).collect()
}

/// The output of this program's test `inner`, with the variable set or not, and with a home folder that it may write
/// to.
fn start(variable: Option<&str>, home: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "inner", "--nocapture", "--test-threads=1"])
        .env(INNER, "1")
        .env_remove(VARIABLE);
    for name in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        command.env(name, home);
    }
    if let Some(value) = variable {
        command.env(VARIABLE, value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn inner() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    println!("the variable is {:?}", std::env::var(VARIABLE));
    if std::env::var(VARIABLE).as_deref() != Ok("1") {
        return;
    }
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, Some(&[2])).output(
        "y",
        element::FLOAT,
        Some(&[2]),
    );
    let before = sockets();
    let (_, data) = load(graph, "").unwrap().output(vec![input(&[2], numbers([1f32, 2.]))]);
    assert_eq!(data, numbers([-1f32, -2.]));
    assert_eq!(sockets(), before);
}

#[test]
fn nothing_is_written_and_the_users_word_counts() {
    let home = tempfile::tempdir().unwrap();
    // Unset, or empty as from a container's file.
    for unset in [None, Some("")] {
        assert!(start(unset, home.path()).contains("the variable is Ok(\"1\")"), "{unset:?}");
        assert_eq!(files(home.path()), Vec::<PathBuf>::new(), "{unset:?}");
    }
    // The engine is not run with it: a test sends nothing.
    assert!(start(Some("0"), home.path()).contains("the variable is Ok(\"0\")"));
}
