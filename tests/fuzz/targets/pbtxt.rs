//! Any text is either a config or a list of faults, what is read is checked without harm, and an edit changes what it says and
//! nothing else.
#![no_main]

use hippocamp_model_config::{
    DefaultFacts, Edit, Interface, apply_defaults, edited, from_json, parse, to_json, validate,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    edit(text);
    let Ok(parsed) = parse(text, "config.pbtxt") else { return };
    assert_eq!(from_json(&to_json(&parsed.config)).as_ref(), Ok(&parsed.config), "JSON keeps every field");
    let mut config = parsed.config;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    if validate(&config, Some(&parsed.spans), "config.pbtxt", "m").is_ok() {
        let _ = Interface::new(&config);
    }
});

fn edit(text: &str) {
    for path in ["input[0].dims", "instance_group[1].gpus", "ensemble_scheduling.step[0].model_name"] {
        let _ = edited(text, &[Edit::Remove { path: path.to_owned() }]);
        let _ = edited(text, &[Edit::Set { path: path.to_owned(), value: "1".to_owned() }]);
    }
    let set = Edit::Set { path: "max_batch_size".to_owned(), value: "7".to_owned() };
    if let (Ok(before), Some(after)) = (parse(text, "before"), edited(text, &[set])) {
        let mut expected = before.config;
        expected.max_batch_size = 7;
        let after = parse(&after, "after").map(|parsed| to_json(&parsed.config));
        assert_eq!(after.ok(), Some(to_json(&expected)), "the edit changes one field");
    }
}
