//! What is refused, and what is said of it.

use std::fs::{self, File};
use std::io::Write;

use hippocamp_archive::{Archive, Options, convert};
use proptest::prelude::*;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::kit::{all, converted, manifest, onnx, with_handler, zipped};

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

#[test]
fn a_batch_of_tensors_without_a_dimension_is_refused() {
    let model = onnx(&[("x", &[-1, 4]), ("threshold", &[])], &[("y", &[-1, 2])]);
    let more: [(&str, &[u8]); 1] = [("config.pbtxt", b"max_batch_size: 4")];
    let fault = with_handler("base_handler", "net.onnx", &model, &more).unwrap_err();
    assert!(fault.contains("max_batch_size 4, of a batch"), "{fault}");
    assert!(fault.ends_with("but 'threshold' of 'net.onnx' has no dimension"), "{fault}");
    // Without a config there is no batch.
    let got = with_handler("base_handler", "net.onnx", &model, &[]).unwrap();
    assert!(!got.models["m"].config_text().contains("max_batch_size"));
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

    /// Of a network of any shapes, with any settings around it, there is a batch only where it can be one.
    #[test]
    fn any_network_is_served_or_refused(
        handler in prop::sample::select(vec!["base_handler", "image_classifier", "object_detector", "yolov5_face", "centerface"]),
        inputs in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![-1i64, 1, 3, 100]), 0..5), 0..3),
        outputs in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![-1i64, 1, 4, 100]), 0..4), 0..4),
        config in prop::sample::select(vec![None, Some(""), Some("max_batch_size: 4"), Some("max_batch_size: -3"), Some("max_batch_size: 2147483647 dynamic_batching {}")]),
        yaml in prop::sample::select(vec![None, Some("batchSize: 1"), Some("batchSize: 8"), Some("minWorkers: 2\nbatchSize: 3")]),
    ) {
        let of_inputs: Vec<_> = ["a", "b", "c"].into_iter().zip(inputs.iter().map(Vec::as_slice)).collect();
        let of_outputs: Vec<_> = ["x", "y", "z"].into_iter().zip(outputs.iter().map(Vec::as_slice)).collect();
        let model = onnx(&of_inputs, &of_outputs);
        let texts = [("config.pbtxt", config), ("model.yaml", yaml)];
        let more: Vec<(&str, &[u8])> = texts.iter().filter_map(|(name, text)| Some((*name, (*text)?.as_bytes()))).collect();
        if let Ok(got) = with_handler(handler, "net.onnx", &model, &more) {
            let is_free = inputs.iter().chain(&outputs).all(|dims| dims.first() == Some(&-1));
            let network = &got.models[&got.network];
            prop_assert!(
                config.is_some() || is_free || network.config.max_batch_size == 0,
                "{}",
                network.config_text()
            );
        }
    }

    #[test]
    fn any_bytes_are_no_model_or_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(hippocamp_archive::read_signature(&*bytes, bytes.len() as u64));
    }
}
