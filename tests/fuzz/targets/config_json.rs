//! Any JSON that comes with a load request is either a config or a list of faults.
#![no_main]

use hippocamp_model_config::{from_json, to_json, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(config) = from_json(text) else { return };
    let _ = validate(&config, None, "config", "m");
    assert_eq!(from_json(&to_json(&config)).as_ref(), Ok(&config));
});
