//! Any text is either a config or a list of faults, and what is read is checked without harm.
#![no_main]

use hippocamp_model_config::{DefaultFacts, Interface, apply_defaults, from_json, parse, to_json, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(parsed) = parse(text, "config.pbtxt") else { return };
    assert_eq!(from_json(&to_json(&parsed.config)).as_ref(), Ok(&parsed.config), "JSON keeps every field");
    let mut config = parsed.config;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    if validate(&config, Some(&parsed.spans), "config.pbtxt", "m").is_ok() {
        let _ = Interface::new(&config);
    }
});
