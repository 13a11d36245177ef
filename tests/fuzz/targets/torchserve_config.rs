//! Any text of a `config.properties` is a config or an error, and nothing that is said of it is empty.
#![no_main]

use hippocamp_torchserve::TorchServeConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    if let Ok(config) = TorchServeConfig::parse(&text) {
        assert!(config.warnings.iter().all(|warning| !warning.is_empty()));
    }
});
