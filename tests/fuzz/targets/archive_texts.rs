//! Whatever the texts and the model file of an archive are, it becomes models or a fault, in each of the three forms of archives. The
//! bytes are a list of entries: the number of a name, two bytes of a length, and the content. Without checksums in the way, what reads
//! manifests, settings, labels, configs, pipelines and ONNX is reached.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hippocamp_archive::{Archive, Content, Options, convert};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const NAMES: [&str; 10] = [
    "MAR-INF/MANIFEST.json",
    "model.onnx",
    "model.yaml",
    "config.pbtxt",
    "preprocess.toml",
    "postprocess.toml",
    "index_to_name.json",
    "handler.py",
    "model.graphdef",
    "settings.conf",
];

const MANIFEST: &[u8] = br#"{"runtime": "python", "model": {"modelName": "m", "modelVersion": "1.0", "handler": "image_classifier",
"serializedFile": "model.onnx", "configFile": "model.yaml"}}"#;

/// Two inputs and outputs are no news behind so many bytes.
const LARGEST: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    let [form, rest @ ..] = bytes else { return };
    let entries = entries(&rest[..rest.len().min(LARGEST)]);
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join(if form % 3 == 1 { "m.tar.gz" } else { "m.mar" });
    match form % 3 {
        0 => zipped(&path, &entries),
        1 => tarred(&path, &entries),
        _ => unpacked(&path, &entries),
    }
    let Ok(archive) = Archive::open(&path) else { return };
    let Ok(conversion) = convert(&archive, &Options::default(), &|_| true) else { return };
    assert!(conversion.batch_size >= 1 && i32::try_from(conversion.batch_size).is_ok());
    assert!(
        conversion.models.contains_key(&conversion.name)
            && conversion.models.contains_key(&conversion.network)
    );
    for (name, model) in &conversion.models {
        let text = model.config_text();
        let read = hippocamp_model_config::parse(&text, "config.pbtxt").expect("what is written can be read");
        assert_eq!(read.config, model.config, "{text}");
        assert_eq!(*name, model.config.name);
        for (at, content) in &model.files {
            assert!(at.split('/').all(|part| !part.is_empty() && part != ".."), "{at}");
            if let Content::Entry(entry) = content {
                assert!(archive.size(entry).is_some(), "{entry}");
            }
        }
    }
});

fn entries(mut rest: &[u8]) -> BTreeMap<&'static str, &[u8]> {
    let mut entries: BTreeMap<&'static str, &[u8]> = [(NAMES[0], MANIFEST)].into();
    while let [name, low, high, content @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(content.len());
        let (content, behind) = content.split_at(length);
        entries.insert(NAMES[usize::from(*name) % NAMES.len()], content);
        rest = behind;
    }
    entries
}

fn zipped(path: &Path, entries: &BTreeMap<&str, &[u8]>) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in entries {
        zip.start_file(*name, options).expect("an entry");
        zip.write_all(content).expect("its content");
    }
    fs::write(path, zip.finish().expect("a zip file").into_inner()).expect("a file");
}

fn tarred(path: &Path, entries: &BTreeMap<&str, &[u8]>) {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("m/{name}"), *content).expect("an entry");
    }
    fs::write(path, tar.into_inner().and_then(GzEncoder::finish).expect("a tar file")).expect("a file");
}

fn unpacked(path: &Path, entries: &BTreeMap<&str, &[u8]>) {
    for (name, content) in entries {
        let file = path.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, content).expect("a file");
    }
}
