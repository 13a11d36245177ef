//! What an archive becomes.

use hippocamp_archive::Content;

use crate::kit::{onnx, with_handler};

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
