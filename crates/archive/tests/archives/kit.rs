//! Archives as they are made, and what they become.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use hippocamp_archive::{Archive, Conversion, Options, convert};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The bytes of a length-delimited field.
pub(crate) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// An ONNX model with these inputs and outputs of FP32; -1 is a free dimension.
pub(crate) fn onnx(inputs: &[(&str, &[i64])], outputs: &[(&str, &[i64])]) -> Vec<u8> {
    let port = |(name, dims): &(&str, &[i64])| {
        let dims = dims.iter().map(|&dim| match u8::try_from(dim) {
            Ok(dim) if dim < 0x80 => field(1, &[1 << 3, dim]),
            Ok(dim) => field(1, &[1 << 3, dim | 0x80, 1]),
            Err(_) => field(1, &field(2, b"n")),
        });
        let shape: Vec<u8> = dims.flatten().collect();
        let tensor = [vec![1 << 3, 1], field(2, &shape)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let mut graph = field(2, b"graph");
    graph.extend(field(5, &field(8, b"weight")));
    graph.extend(field(11, &port(&("weight", &[3]))));
    graph.extend(inputs.iter().flat_map(|input| field(11, &port(input))));
    graph.extend(outputs.iter().flat_map(|output| field(12, &port(output))));
    [vec![1 << 3, 8], field(7, &graph)].concat()
}

pub(crate) fn manifest(handler: &str, file: &str) -> String {
    format!(
        r#"{{"runtime": "python", "model": {{"modelName": "m", "modelVersion": "1.0", "handler": "{handler}",
        "serializedFile": "{file}"}}, "archiverVersion": "0.12.0"}}"#
    )
}

/// The same, of an archive whose settings are in this file.
pub(crate) fn with_settings(manifest: &str, file: &str) -> String {
    manifest.replace("\"modelName\"", &format!("\"configFile\": \"{file}\", \"modelName\""))
}

pub(crate) fn zipped(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("m.mar");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    path
}

pub(crate) fn all(_: &str) -> bool {
    true
}

/// What an archive of these entries becomes, or why it becomes nothing.
pub(crate) fn converted(entries: &[(&str, &[u8])], options: &Options) -> Result<Conversion, String> {
    let folder = TempDir::new().unwrap();
    let archive = Archive::open(&zipped(folder.path(), entries)).map_err(|fault| fault.to_string())?;
    convert(&archive, options, &all).map_err(|fault| fault.to_string())
}

pub(crate) fn with_handler(
    handler: &str,
    file: &str,
    content: &[u8],
    more: &[(&str, &[u8])],
) -> Result<Conversion, String> {
    let plain = manifest(handler, file);
    let has_settings = more.iter().any(|(name, _)| *name == "model.yaml");
    let manifest = if has_settings { with_settings(&plain, "model.yaml") } else { plain };
    let mut entries = vec![("MAR-INF/MANIFEST.json", manifest.as_bytes()), (file, content)];
    entries.extend_from_slice(more);
    converted(&entries, &Options::default())
}
