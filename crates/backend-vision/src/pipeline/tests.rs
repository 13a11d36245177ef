use super::*;

fn faults(text: &str) -> Vec<String> {
    let message = Pipeline::read("1/pipeline.toml", text).unwrap_err().to_string();
    message.lines().map(str::to_owned).collect()
}

const GOOD: &str = r#"
[[step]]
op = "decode"
input = "raw_image"
output = "picture"

[[step]]
op = "tensor"
input = "picture"
output = "image"
"#;

#[test]
fn names_become_inputs_values_and_outputs() {
    let pipeline = Pipeline::read("p", GOOD).unwrap();
    let names = |slots: &[Slot]| slots.iter().map(|s| pipeline.values[s.0].name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&pipeline.inputs), ["raw_image"]);
    assert_eq!(names(&pipeline.outputs), ["image"]);
    assert_eq!(pipeline.values[pipeline.outputs[0].0].kind.dims()[..], [3, -1, -1]);
}

#[test]
fn the_file_may_list_inputs_and_outputs() {
    let pipeline =
        Pipeline::read("p", &format!("inputs = [\"raw_image\"]\noutputs = [\"picture\"]\n{GOOD}")).unwrap();
    assert_eq!(pipeline.values[pipeline.outputs[0].0].name, "picture");
    assert_eq!(pipeline.needed_for(&pipeline.outputs), [true, false]);
}

#[test]
fn every_fault_has_its_line_and_all_are_told() {
    let text = GOOD
        .replace("\"decode\"", "\"deocde\"")
        .replace("input = \"picture\"", "input = \"picture\"\nmena = 1");
    let faults = faults(&text);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("1/pipeline.toml:3: step 1: there is no op 'deocde'; there are: decode, "));
    assert!(faults[1].starts_with("1/pipeline.toml:10: step 2 'tensor': unknown field `mena`, expected "));
}

#[test]
fn a_key_that_is_missing_points_at_its_step() {
    let faults = faults(&GOOD.replace("output = \"image\"\n", ""));
    assert_eq!(faults, ["1/pipeline.toml:8: step 2 'tensor': missing field `output`"]);
}

#[test]
fn syntax_is_told_by_line() {
    let faults = faults(&GOOD.replace("output = \"image\"", "output = image\""));
    assert!(faults[0].starts_with("1/pipeline.toml:10: "), "{faults:?}");
    assert_eq!(
        super::super::pipeline::Pipeline::read("p", "").unwrap_err().to_string(),
        "p:1: it was expected to have a [[step]] at least"
    );
}

#[test]
fn values_are_written_once_and_before_they_are_read() {
    let [decode, tensor] =
        [&GOOD[..GOOD.rfind("[[step]]").unwrap()], &GOOD[GOOD.rfind("[[step]]").unwrap()..]];
    assert_eq!(
        faults(&format!("{tensor}{decode}")),
        [
            "1/pipeline.toml:3: step 1 'tensor': 'picture' is written by step 2, which comes later",
            "1/pipeline.toml:9: step 2 'decode': 'picture' is an input of the model; what is written needs a name of its own"
        ]
    );
    assert_eq!(
        faults(&format!("{GOOD}{tensor}")),
        [
            "1/pipeline.toml:14: step 3 'tensor': 'image' is written by step 2 already; give it a name of its own"
        ]
    );
}

#[test]
fn kinds_are_checked() {
    let text = GOOD.replace("input = \"picture\"", "input = \"raw_image\"");
    assert_eq!(
        faults(&text),
        ["1/pipeline.toml:9: step 2 'tensor': 'raw_image' was expected to be a picture, it is encoded bytes"]
    );
}

#[test]
fn listed_inputs_are_all_that_there_are() {
    let text = format!(
        "inputs = [\"raw_image\", \"other\"]\n{}",
        GOOD.replace("input = \"picture\"", "input = \"pictre\"")
    );
    assert_eq!(
        faults(&text),
        [
            "1/pipeline.toml:1: no step reads the input 'other'",
            "1/pipeline.toml:10: step 2 'tensor': there is no value 'pictre': no step before writes it, and the inputs are: \
             raw_image, other"
        ]
    );
}
