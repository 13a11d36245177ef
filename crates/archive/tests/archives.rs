//! Whole archives: what they become, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use hippocamp_archive::{
    Archive, Content, Conversion, ModelSettings, Options, convert, is_archive_folder, is_archive_name,
};
use proptest::prelude::*;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The bytes of a length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
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
fn onnx(inputs: &[(&str, &[i64])], outputs: &[(&str, &[i64])]) -> Vec<u8> {
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

fn manifest(handler: &str, file: &str) -> String {
    format!(
        r#"{{"runtime": "python", "model": {{"modelName": "m", "modelVersion": "1.0", "handler": "{handler}",
        "serializedFile": "{file}"}}, "archiverVersion": "0.12.0"}}"#
    )
}

/// The same, of an archive whose settings are in this file.
fn with_settings(manifest: &str, file: &str) -> String {
    manifest.replace("\"modelName\"", &format!("\"configFile\": \"{file}\", \"modelName\""))
}

fn zipped(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
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

fn all(_: &str) -> bool {
    true
}

/// What an archive of these entries becomes, or why it becomes nothing.
fn converted(entries: &[(&str, &[u8])], options: &Options) -> Result<Conversion, String> {
    let folder = TempDir::new().unwrap();
    let archive = Archive::open(&zipped(folder.path(), entries)).map_err(|fault| fault.to_string())?;
    convert(&archive, options, &all).map_err(|fault| fault.to_string())
}

fn with_handler(
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

#[test]
fn a_network_alone_is_one_model() {
    let model = onnx(&[("x", &[-1, 4])], &[("y", &[-1, 2])]);
    let more: [(&str, &[u8]); 2] =
        [("model.yaml", b"batchSize: 8\nmaxBatchDelay: 20\nminWorkers: 2\n"), ("model.onnx.data", b"w")];
    let got = with_handler("base_handler", "net.onnx", &model, &more).unwrap();
    assert_eq!(got.models.keys().collect::<Vec<_>>(), ["m"]);
    assert_eq!((got.batch_size, got.max_batch_delay, got.workers), (8, 20, Some(2)));
    let served = &got.models["m"];
    let text = served.config_text();
    for expected in
        ["max_batch_size: 8", "max_queue_delay_microseconds: 20000", "count: 2", "name: \"x\"", "dims: [ 4 ]"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("weight"), "weights are no inputs: {text}");
    assert_eq!(served.files["1/model.onnx"], Content::Entry("net.onnx".to_owned()));
    assert_eq!(served.files["1/model.onnx.data"], Content::Entry("model.onnx.data".to_owned()));
}

#[test]
fn a_fixed_batch_stays_in_the_shape() {
    let model = onnx(&[("x", &[1, 4])], &[("y", &[1, 2])]);
    let got = with_handler("base_handler", "net.onnx", &model, &[]).unwrap();
    let text = got.models["m"].config_text();
    assert!(text.contains("dims: [ 1, 4 ]") && !text.contains("max_batch_size"), "{text}");
}

#[test]
fn handlers_are_pipelines() {
    let classifier = onnx(&[("x", &[-1, 3, 224, 224])], &[("y", &[-1, 3])]);
    let labels: [(&str, &[u8]); 1] = [("index_to_name.json", br#"{"0": "a", "2": ["n1", "c"], "1": "b"}"#)];
    let got = with_handler("image_classifier", "net.onnx", &classifier, &labels).unwrap();
    assert_eq!(got.models.keys().collect::<Vec<_>>(), ["m", "m-network", "m-postprocess", "m-preprocess"]);
    assert_eq!(got.models["m-postprocess"].files["labels.txt"], Content::Text("a\nb\nc\n".to_owned()));
    let Content::Text(post) = &got.models["m-postprocess"].files["1/pipeline.toml"] else {
        panic!("no text")
    };
    assert!(post.contains("k = 3") && post.contains("labels.txt"), "{post}");

    assert!(!got.models["m"].config_text().contains("max_inflight_requests"), "as many as there are");
    let workers: [(&str, &[u8]); 1] = [("model.yaml", b"minWorkers: 3\nbatchSize: 4\ndeviceType: cpu\n")];
    let got = with_handler("/home/me/image_classifier.py:handle", "net.onnx", &classifier, &workers).unwrap();
    let text = got.models["m"].config_text();
    assert!(text.contains("max_inflight_requests: 24"), "pictures wait before they are decoded: {text}");
    let text = got.models["m-network"].config_text();
    assert!(text.contains("count: 3") && text.contains("kind: KIND_CPU"), "{text}");

    let maps: [(&str, &[i64]); 4] = [
        ("537", &[-1, 1, -1, -1]),
        ("538", &[-1, 2, -1, -1]),
        ("539", &[-1, 2, -1, -1]),
        ("540", &[-1, 10, -1, -1]),
    ];
    let faces = onnx(&[("input.1", &[-1, 3, -1, -1])], &maps);
    let got = with_handler("centerface", "net.onnx", &faces, &[]).unwrap();
    let text = got.models["m"].config_text();
    for expected in ["key: \"input.1\"", "key: \"540\"", "value: \"landmark_raw\"", "platform: \"ensemble\""]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let fault = with_handler("centerface", "net.onnx", &classifier, &[]).unwrap_err();
    assert!(fault.contains("the network returns y, and the pipeline behind it takes heatmap"), "{fault}");

    let handler: [(&str, &[u8]); 1] = [("handler.py", b"class Yolov5FaceHandler(BaseHandler):\n    pass\n")];
    let grids: [(&str, &[i64]); 3] =
        [("a", &[-1, 3, 40, 40, 16]), ("b", &[-1, 3, 20, 20, 16]), ("c", &[-1, 3, 10, 10, 16])];
    let faces = onnx(&[("image", &[-1, 3, 64, 64])], &grids);
    let got = with_handler("handler.py", "net.onnx", &faces, &handler).unwrap();
    assert!(got.models["m"].config_text().contains("value: \"stride_32\""));
    let script = with_handler("handler.py", "net.pt", b"PK\x03\x04", &handler).unwrap();
    assert!(script.models["m-network"].config_text().contains("OUTPUT__2"));
}

#[test]
fn pipelines_of_the_archive_win() {
    let model = onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]);
    let pre = b"inputs = [\"data\"]\noutputs = [\"image\", \"size\"]\n[[step]]\nop = \"decode\"\n";
    let post = b"inputs = [\"scores\", \"size\"]\noutputs = [\"result\"]\n[[step]]\nop = \"topk\"\n";
    let files: [(&str, &[u8]); 2] = [("preprocess.toml", pre), ("postprocess.toml", post)];
    let got = with_handler("own.py", "net.onnx", &model, &files).unwrap();
    let text = got.models["m"].config_text();
    assert!(text.contains("value: \"image\"") && text.contains("value: \"scores\""), "{text}");
    let files: [(&str, &[u8]); 1] = [("preprocess.toml", b"[[step]]\nop = \"decode\"\n")];
    let fault = with_handler("own.py", "net.onnx", &model, &files).unwrap_err();
    assert!(fault.contains("lists its tensors"), "{fault}");
}

#[test]
fn what_cannot_be_served_is_named_with_the_way_out() {
    let model = onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]);
    for (handler, file, content, expected) in [
        ("own.py", "net.onnx", &*model, "preprocess.toml"),
        ("text_classifier", "net.onnx", &model, "no counterpart"),
        ("base_handler", "net.onnx", b"", "it is empty"),
        ("base_handler", "net.onnx", b"PK\x03\x04", "it is a zip file"),
        ("base_handler", "net.onnx", b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        ("base_handler", "net.onnx", b"\xff\xff\xff\xff", "was expected to be an ONNX model"),
        ("base_handler", "net.pt", b"not a zip", "torch.jit.save"),
        ("base_handler", "net.torch2trt", b"PK", "TRTModule"),
        ("base_handler", "net.bin", b"x", "no model file that is known"),
        ("base_handler", "net.pt", b"PK\x03\x04", "add a config.pbtxt"),
    ] {
        let fault = with_handler(handler, file, content, &[]).unwrap_err();
        assert!(
            fault.contains(expected) && fault.starts_with("archive 'm.mar': "),
            "{handler} {file}: {fault}"
        );
    }
    let folder = TempDir::new().unwrap();
    let manifest = manifest("base_handler", "net.plan");
    let path =
        zipped(folder.path(), &[("MAR-INF/MANIFEST.json", manifest.as_bytes()), ("net.plan", b"ftrt")]);
    let archive = Archive::open(&path).unwrap();
    let fault = convert(&archive, &Options::default(), &|name| name != "tensorrt").unwrap_err().to_string();
    assert!(fault.contains("needs the backend 'tensorrt'") && fault.contains("ONNX"), "{fault}");
}

#[test]
fn hostile_archives_are_refused() {
    let manifest = manifest("base_handler", "net.onnx");
    let good: (&str, &[u8]) = ("MAR-INF/MANIFEST.json", manifest.as_bytes());
    for (name, expected) in [("../net.onnx", "outside"), ("/etc/passwd", "outside"), ("a/../../b", "outside")]
    {
        let fault = converted(&[good, (name, b"x")], &Options::default()).unwrap_err();
        assert!(fault.contains(expected), "{name}: {fault}");
    }
    let fault = converted(&[("net.onnx", b"x")], &Options::default()).unwrap_err();
    assert!(fault.contains("it has no MAR-INF/MANIFEST.json"), "{fault}");
    let fault = converted(&[good], &Options::default()).unwrap_err();
    assert!(fault.contains("'net.onnx' is not in it"), "{fault}");
    let workflow: [(&str, &[u8]); 2] = [("WAR-INF/MANIFEST.json", b"{}"), ("w.yaml", b"dag:\n")];
    let fault = converted(&workflow, &Options::default()).unwrap_err();
    assert!(fault.contains("it is a workflow") && fault.contains("an ensemble"), "{fault}");

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("m.mar");
    fs::write(&path, "neither").unwrap();
    assert!(Archive::open(&path).unwrap_err().to_string().contains("neither a zip file nor"));
    fs::write(&path, "PK\x03\x04 and then nothing").unwrap();
    assert!(Archive::open(&path).unwrap_err().to_string().contains("no zip file"));

    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    zip.add_symlink("net.onnx", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap();
    assert!(Archive::open(&path).unwrap_err().to_string().contains("links are not followed"));
}

#[test]
fn a_zip_bomb_is_refused_by_its_index() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("m.mar");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1));
    zip.start_file("net.onnx", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..300 {
        zip.write_all(&zeros).unwrap();
    }
    zip.finish().unwrap();
    let fault = Archive::open(&path).unwrap_err().to_string();
    assert!(fault.contains("more than 100 times"), "{fault}");
}

/// What cannot be read is not as if it were not there.
#[test]
fn texts_that_are_none_are_refused() {
    let net = onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]);
    let long = vec![b' '; (4 << 20) + 1];
    for name in ["config.pbtxt", "preprocess.toml", "postprocess.toml", "model.yaml", "index_to_name.json"] {
        for content in [&b"\xff\xfe"[..], &long[..]] {
            let fault = with_handler("base_handler", "net.onnx", &net, &[(name, content)]).unwrap_err();
            assert!(
                fault.ends_with(&format!("its {name} was expected to be UTF-8 text of at most 4 MiB")),
                "{fault}"
            );
        }
    }
    // These are data.
    with_handler("base_handler", "net.onnx", &net, &[("words.txt", &b"\xff"[..]), ("more.json", &long[..])])
        .unwrap();
}

/// Nor are settings that cannot be meant.
#[test]
fn settings_that_would_be_passed_over_are_refused() {
    let net = onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]);
    for (text, expected) in [
        (
            "batchSize: -4\n",
            "in its model.yaml, batchSize was expected to be a number from 1 to 2147483647, got '-4'",
        ),
        (
            "minWorkers: 4000\n",
            "in its model.yaml, minWorkers was expected to be a number from 0 to 1024, got '4000'",
        ),
    ] {
        let more = [("model.yaml", text.as_bytes())];
        let fault = with_handler("base_handler", "net.onnx", &net, &more).unwrap_err();
        assert!(fault.ends_with(expected), "{fault}");
    }
    let manifest = with_settings(&manifest("base_handler", "net.onnx"), "settings.conf");
    let entries = [("MAR-INF/MANIFEST.json", manifest.as_bytes()), ("net.onnx", &net)];
    let fault = converted(&entries, &Options::default()).unwrap_err();
    assert!(
        fault.ends_with("its manifest names the configFile 'settings.conf', which is not in it"),
        "{fault}"
    );
    let entries = [&entries[..], &[("settings.conf", b"batchSize: 3\n")]].concat();
    assert_eq!(converted(&entries, &Options::default()).unwrap().batch_size, 3, "whatever it is called");
    for (workers, batch_size) in [(Some(2000), None), (None, Some(u32::MAX))] {
        let options = Options { workers, batch_size, ..Options::default() };
        assert!(converted(&entries, &options).unwrap_err().contains(" was expected to be at most "));
    }
    for (labels, expected) in [
        ("[1]", "its index_to_name.json was expected to be an object of numbers and names"),
        (r#"{"0": 5}"#, "'0' has no name"),
        (r#"{"99999999": "x"}"#, "it has a class 99999999, 1048576 are allowed"),
    ] {
        let more = [("index_to_name.json", labels.as_bytes())];
        let fault = with_handler("image_classifier", "net.onnx", &net, &more).unwrap_err();
        assert!(fault.contains(expected), "{fault}");
    }
    let more: [(&str, &[u8]); 1] = [("index_to_name.json", br#"{"object_type_names": ["a", "b"]}"#)];
    let pictures = onnx(&[("x", &[-1, 3, 224, 224])], &[("y", &[-1, 2])]);
    let got = with_handler("image_classifier", "net.onnx", &pictures, &more).unwrap();
    assert_eq!(got.models["m-postprocess"].files["labels.txt"], Content::Text("a\nb\n".to_owned()));
}

#[test]
fn settings_without_effect_are_told_and_the_others_hold() {
    let net = onnx(&[("x", &[-1, 4])], &[("y", &[-1, 2])]);
    let yaml = b"batchSize: 1\nminWorkers: 3\ndeviceIds: [0, 2]\njobQueueSize: 7\nclientTimeoutInMills: 250\nresponseTimeout: 9\nparallelType: pp\n";
    let got = with_handler("base_handler", "net.onnx", &net, &[("model.yaml", yaml)]).unwrap();
    let told = got.without_effect.join("\n");
    assert_eq!(got.without_effect.len(), 2, "{told}");
    assert!(
        told.contains("in its model.yaml, 'responseTimeout' has no effect: ")
            && told.contains("'parallelType'"),
        "{told}"
    );
    let text = got.models["m"].config_text();
    for expected in [
        "max_batch_size: 1",
        "max_queue_size: 7",
        "default_timeout_microseconds: 250000",
        "gpus: [ 0 ]",
        "count: 2",
        "gpus: [ 2 ]",
        "count: 1",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("max_queue_delay"), "nobody waits for a batch of one: {text}");

    let fixed = onnx(&[("x", &[1, 4])], &[("y", &[1, 2])]);
    let yaml = b"deviceType: cpu\ndeviceIds: [0]\njobQueueSize: 7\n";
    let got = with_handler("base_handler", "net.onnx", &fixed, &[("model.yaml", yaml)]).unwrap();
    let text = got.models["m"].config_text();
    assert!(
        text.contains("kind: KIND_CPU") && !text.contains("gpus") && !text.contains("max_queue_size"),
        "{text}"
    );
    assert!(
        got.without_effect[0]
            .starts_with("'jobQueueSize' has no effect: only the queue of a model that batches")
    );

    let pictures = onnx(&[("x", &[-1, 3, 224, 224])], &[("y", &[-1, 2])]);
    let yaml = b"clientTimeoutInMills: 7\nhandler:\n  profile: true\n";
    let got = with_handler("image_classifier", "net.onnx", &pictures, &[("model.yaml", yaml)]).unwrap();
    assert!(got.without_effect[0].contains("'handler' has no effect: "), "{:?}", got.without_effect);
    assert!(got.without_effect[1].starts_with("'clientTimeoutInMills' has no effect: requests wait before"));
}

#[test]
fn of_what_is_said_in_several_places_one_holds() {
    let net = onnx(&[("x", &[-1, 4])], &[("y", &[-1, 2])]);
    let manifest = with_settings(&manifest("base_handler", "net.onnx"), "model.yaml");
    let entries: [(&str, &[u8]); 3] = [
        ("MAR-INF/MANIFEST.json", manifest.as_bytes()),
        ("net.onnx", &net),
        ("model.yaml", b"batchSize: 4\nmaxBatchDelay: 5\n"),
    ];
    let usual = ModelSettings {
        batch_size: Some(2),
        max_batch_delay: Some(3),
        min_workers: Some(6),
        ..ModelSettings::default()
    };
    let options = Options { batch_size: Some(8), usual, ..Options::default() };
    let got = converted(&entries, &options).unwrap();
    assert_eq!((got.batch_size, got.max_batch_delay, got.workers), (8, 5, Some(6)));
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_archives_do_not_panic(at in 0.0..1.0f64, byte: u8, cut in 0.0..1.0f64) {
        let folder = TempDir::new().unwrap();
        let (manifest, model) = (manifest("base_handler", "net.onnx"), onnx(&[("x", &[-1, 3])], &[("y", &[-1, 2])]));
        let path = zipped(folder.path(), &[("MAR-INF/MANIFEST.json", manifest.as_bytes()), ("net.onnx", &model)]);
        let mut bytes = fs::read(&path).unwrap();
        let place = (bytes.len() as f64 * at) as usize;
        bytes[place] ^= byte;
        bytes.truncate((bytes.len() as f64 * cut.max(0.5)) as usize);
        fs::write(&path, bytes).unwrap();
        if let Ok(archive) = Archive::open(&path) {
            drop(convert(&archive, &Options::default(), &all));
        }
    }

    #[test]
    fn any_bytes_are_no_model_or_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(hippocamp_archive::read_signature(&*bytes, bytes.len() as u64));
    }
}

#[test]
fn an_archive_does_not_say_what_runs_it() {
    let model = onnx(&[("x", &[-1, 4])], &[("y", &[-1, 2])]);
    let refused = |config: &str| {
        let more: [(&str, &[u8]); 1] = [("config.pbtxt", config.as_bytes())];
        with_handler("base_handler", "net.onnx", &model, &more).unwrap_err()
    };
    for (config, text) in [
        ("model_operations { op_library_filename: \"evil.so\" }", "names the operator library 'evil.so'"),
        ("backend: \"python\"", "expected to be 'onnxruntime', as of its serialized file, got 'python'"),
        ("platform: \"tensorrt_plan\"", "expected to be 'onnxruntime_onnx'"),
        ("backend: \"onnxruntime\" runtime: \"libother.so\"", "names the runtime 'libother.so'"),
        (
            "parameters { key: \"session.model_external_initializers_file_folder_path\" value { string_value: \"/etc\" } }",
            "has the setting 'session.model_external_initializers_file_folder_path' of an engine",
        ),
    ] {
        let fault = refused(config);
        assert!(fault.contains(text), "{fault}");
    }
    let more: [(&str, &[u8]); 4] = [
        ("config.pbtxt", b"backend: \"onnxruntime\" max_batch_size: 4"),
        ("libtriton_onnxruntime.so", b"\x7fELF"),
        ("libother.SO.1", b"\x7fELF"),
        ("model.onnx.data", b"w"),
    ];
    let got = with_handler("base_handler", "net.onnx", &model, &more).unwrap();
    assert_eq!(got.models["m"].files.keys().collect::<Vec<_>>(), ["1/model.onnx", "1/model.onnx.data"]);
}
