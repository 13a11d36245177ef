use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;

fn refusal(path: &Path) -> String {
    let error = read(path, 100).unwrap_err().to_string();
    assert_eq!(open(path).unwrap_err().to_string(), error);
    error
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    let _listener = UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/zero", at("device")).unwrap();
    symlink("fifo", at("link")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    assert_eq!(refusal(&at("fifo")), "it is a FIFO, expected a regular file");
    assert_eq!(refusal(&at("link")), "it is a FIFO, expected a regular file");
    assert_eq!(refusal(&at("socket")), "it is a socket, expected a regular file");
    assert_eq!(refusal(&at("device")), "it is a device, expected a regular file");
    assert_eq!(refusal(folder.path()), "it is a folder, expected a regular file");
    assert_eq!(read(&at("dangling"), 1).unwrap_err().kind(), ErrorKind::NotFound);

    assert_eq!(describe(&at("link")).unwrap(), "a FIFO");
    assert_eq!(describe(&at("dangling")).unwrap(), "a link to 'nothing', which is not there");
    symlink("circle", at("circle")).unwrap();
    let circle = describe(&at("circle")).unwrap();
    assert!(circle.starts_with("a link to 'circle', which cannot be followed: "), "{circle}");
    assert_eq!(describe(&at("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_is_read_up_to_the_limit_and_not_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    assert_eq!(read(&folder.path().join("link"), 5).unwrap(), b"12345");
    assert_eq!(read(&path, 4).unwrap_err().to_string(), "it has 5 bytes, expected at most 4");
    assert_eq!(head(&path, 2).unwrap(), b"12");
    assert_eq!(head(&path, 9).unwrap(), b"12345");
    // A file of the system, which has no size and a content.
    assert!(!read(Path::new("/proc/self/stat"), 1 << 16).unwrap().is_empty());
    assert!(read(Path::new("/proc/self/stat"), 10).unwrap_err().to_string().contains("more"));
}

#[test]
fn text_is_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    fs::write(&path, b"abc\xff").unwrap();
    assert_eq!(read_text(&path, 9).unwrap_err().to_string(), "it is not UTF-8 at byte 3");
    fs::write(&path, "\u{e9}").unwrap();
    assert_eq!(read_text(&path, 9).unwrap(), "\u{e9}");
}

#[test]
fn a_name_leads_nowhere_by_way_of_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("elsewhere/version")).unwrap();
    fs::write(at("elsewhere/secret"), "s").unwrap();
    fs::create_dir(at("model")).unwrap();
    std::os::unix::fs::symlink(at("elsewhere/version"), at("model/1")).unwrap();
    assert!(fs::read(at("model/1/../secret")).is_ok(), "the kernel follows the link first");
    assert_eq!(named_from(&at("model"), "1/../secret"), at("model/secret"));
    assert_eq!(named_from(&at("model/1"), "../labels.txt"), at("model/labels.txt"));
    assert_eq!(named_from(Path::new("m"), "./a/b"), Path::new("m/a/b"));
}
