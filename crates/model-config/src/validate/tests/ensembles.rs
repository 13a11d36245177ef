//! Steps of ensembles, and what connects them.

use super::*;

fn ensemble(input: &str, output: &str, steps: &str) -> Vec<String> {
    faults(&format!(
        "platform: \"ensemble\"\ninput {{ name: \"{input}\" data_type: TYPE_FP32 dims: 1 }}\n\
         output {{ name: \"{output}\" data_type: TYPE_FP32 dims: 1 }}\nensemble_scheduling {{\n{steps} }}"
    ))
}

fn step(inputs: &[&str], outputs: &[&str]) -> String {
    let maps = |field: &str, names: &[&str]| {
        let entry = |(i, name)| format!("{field} {{ key: \"{i}\" value: \"{name}\" }} ");
        names.iter().enumerate().map(entry).collect::<Vec<_>>().concat()
    };
    let (inputs, outputs) = (maps("input_map", inputs), maps("output_map", outputs));
    format!("step {{ model_name: \"n\" {inputs}{outputs}}}\n")
}

#[test]
fn ensembles_are_connected() {
    let chain = step(&["A"], &["T"]) + &step(&["T", "A", "T"], &["B"]);
    assert_eq!(ensemble("A", "B", &chain), [""; 0]);
    assert_eq!(ensemble("A", "T", &step(&["A"], &["T"])), [""; 0]);
    assert_eq!(
        ensemble("C", "B", &chain),
        [
            "2:1: ensemble input 'C' for ensemble m' is not used",
            "3:1: output 'B' for ensemble 'm' is not written: at least one of its depending tensors, 'A', is not connected",
        ]
    );
    assert_eq!(
        ensemble("A", "C", &chain),
        [
            "3:1: ensemble output 'C' for ensemble m' is not used",
            "6:1: ensemble tensor 'B' is unused in ensemble 'm'",
        ]
    );
    assert_eq!(
        ensemble("A", "B", &(chain.clone() + &step(&["A"], &["T"]))),
        ["7:58: ensemble tensor 'T' can appear in an output map only once for ensemble 'm' step 2"]
    );
    assert_eq!(
        ensemble("A", "B", &(chain + &step(&["A", "Z"], &["Y"]))),
        [
            "7:1: ensemble tensor 'Y' is unused in ensemble 'm'",
            "4:1: ensemble tensor 'Z' is unused in ensemble 'm'",
        ]
    );
    let circle = step(&["A", "U"], &["T"]) + &step(&["T"], &["U", "B"]);
    assert_eq!(ensemble("A", "B", &circle).len(), 1);
}

#[test]
fn ensembles_have_steps_and_nothing_else() {
    assert_eq!(ensemble("A", "B", ""), ["4:1: must specify 'step' for ensemble 'm'"]);
    assert_eq!(
        ensemble("A", "B", "step { model_version: -2 }")[..4],
        [
            "5:1: must specify 'model_name' in step 0 of ensemble 'm'",
            "5:1: must specify 'input_map' in step 0 of ensemble 'm'",
            "5:1: must specify 'output_map' in step 0 of ensemble 'm'",
            "5:23: model version in step 0 of ensemble 'm' must be -1 or >= 1, got -2",
        ]
    );
    assert_eq!(
        faults(
            "platform: \"ensemble\" backend: \"python\"\ninstance_group { }\noptimization { }\nmodel_warmup { }\n\
             ensemble_scheduling { }"
        ),
        [
            "1:31: Ensemble model 'm' must have platform type 'ensemble' and empty backend type",
            "2:1: instance group should not be specified for ensemble 'm'",
            "3:1: optimization should not be specified for ensemble 'm'",
            "4:1: model_warmup can not be specified for ensemble 'm'",
            "5:1: must specify 'step' for ensemble 'm'",
        ]
    );
    assert_eq!(
        faults("platform: \"ensemble\""),
        ["1:11: ensemble scheduling must be set for ensemble m whose platform is ensemble"]
    );
    assert_eq!(
        faults("backend: \"python\" ensemble_scheduling { }")[0],
        "1:19: ensemble scheduling cannot be set for model 'm' whose platform is not ensemble"
    );
}
