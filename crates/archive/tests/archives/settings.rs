//! The settings of an archive, of its registration and of the server.

use hippocamp_archive::{Content, ModelSettings, Options};

use crate::kit::{converted, manifest, onnx, with_handler, with_settings};

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
