//! Any text is either a pipeline or a list of faults, each with its line.
#![no_main]

use hippocamp_backend_vision::VisionModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = VisionModel::from_text("m".into(), "pipeline.toml", text) {
        assert!(error.message().starts_with("unable to load model 'm', pipeline.toml:"), "{error}");
    }
});
