//! Zip files, tar files and folders.

use std::fs::{self, File};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hippocamp_archive::{Archive, Options, convert, is_archive_folder, is_archive_name};
use tempfile::TempDir;

use crate::kit::{all, manifest, onnx, zipped};

#[test]
fn folders_of_an_archive_may_be_nested_and_not_without_end() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("m");
    fs::create_dir_all(plain.join("MAR-INF")).unwrap();
    fs::write(plain.join("MAR-INF/MANIFEST.json"), manifest("base_handler", "net.onnx")).unwrap();
    let deep = plain.join(vec!["a"; 20].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("vocabulary.txt"), "a").unwrap();
    let name = format!("{}/vocabulary.txt", vec!["a"; 20].join("/"));
    assert_eq!(Archive::open(&plain).unwrap().text(&name), Some("a"));
    fs::create_dir_all(deep.join(vec!["b"; 20].join("/"))).unwrap();
    let fault = Archive::open(&plain).unwrap_err().to_string();
    assert!(
        fault.contains("folder 'a/a/") && fault.ends_with("b/b' is nested deeper than 32 folders"),
        "{fault}"
    );
}

#[test]
fn damaged_content_is_not_unpacked() {
    let folder = TempDir::new().unwrap();
    let manifest = manifest("base_handler", "net.onnx");
    let net: &[u8] = b"the weights of a network";
    let path = zipped(folder.path(), &[("MAR-INF/MANIFEST.json", manifest.as_bytes()), ("net.onnx", net)]);
    let unpack = |to: &str| {
        let to = folder.path().join(to);
        let copied = Archive::open(&path).unwrap().copy("net.onnx", &to);
        copied.map(|()| fs::read(to).unwrap()).map_err(|fault| fault.to_string())
    };
    assert_eq!(unpack("whole").as_deref(), Ok(net));
    // The checksum of the last entry in the index, sixteen bytes behind the beginning of its record.
    let mut bytes = fs::read(&path).unwrap();
    let record = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[record + 16] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let fault = unpack("damaged").unwrap_err();
    assert!(fault.contains("entry 'net.onnx' cannot be unpacked: Invalid checksum"), "{fault}");

    tarred(&path, |tar| {
        append(tar, "MAR-INF/MANIFEST.json", manifest.as_bytes());
        append(tar, "net.onnx", net);
    });
    Archive::open(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let fault = Archive::open(&path).unwrap_err().to_string();
    assert!(fault.contains("it is a damaged tar file: "), "{fault}");
}

fn tarred(path: &Path, build: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) {
    let mut tar = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
    build(&mut tar);
    tar.into_inner().unwrap().finish().unwrap();
}

fn append(tar: &mut tar::Builder<GzEncoder<File>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

#[test]
fn tar_files_and_folders_are_archives_too() {
    let folder = TempDir::new().unwrap();
    let (manifest, model) =
        (manifest("base_handler", "net.onnx"), onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]));
    let path = folder.path().join("m.tar.gz");
    tarred(&path, |tar| {
        append(tar, "m/net.onnx", &model);
        append(tar, "m/MAR-INF/MANIFEST.json", manifest.as_bytes());
    });
    let plain = folder.path().join("m");
    fs::create_dir_all(plain.join("MAR-INF")).unwrap();
    fs::write(plain.join("MAR-INF/MANIFEST.json"), &manifest).unwrap();
    fs::write(plain.join("net.onnx"), &model).unwrap();
    assert!(is_archive_folder(&plain) && !is_archive_folder(folder.path()));
    assert!(
        is_archive_name("m.tar.gz")
            && is_archive_name("a.mar")
            && !is_archive_name(".mar")
            && !is_archive_name("m.zip")
    );
    for path in [&path, &plain] {
        let archive = Archive::open(path).unwrap();
        let got = convert(&archive, &Options::default(), &all).unwrap();
        assert_eq!(got.models.len(), 1);
        let copy = folder.path().join("copy");
        archive.copy("net.onnx", &copy).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), model);
        assert!(archive.copy("net.onnx", &copy).is_err(), "nothing is overwritten");
        fs::remove_file(copy).unwrap();
    }
    tarred(&path, |tar| append(tar, "../net.onnx", b"x"));
    assert!(Archive::open(&path).unwrap_err().to_string().contains("outside"));
    tarred(&path, |tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "net.onnx", "/etc/passwd").unwrap();
    });
    assert!(Archive::open(&path).unwrap_err().to_string().contains("links are not followed"));
    std::os::unix::fs::symlink("/etc/passwd", plain.join("link")).unwrap();
    assert!(Archive::open(&plain).unwrap_err().to_string().contains("links are not followed"));
}
