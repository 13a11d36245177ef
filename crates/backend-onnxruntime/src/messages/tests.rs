use super::*;

const SHAPE: &str = "Expected shape from model of {1,4} does not match actual shape of {2,4} for output y";

#[test]
fn a_message_is_one_line() {
    assert_eq!(one_line("one"), "one");
    assert_eq!(
        one_line("Error merging shape info.\n  Falling back\r\n\nto lenient merge \n"),
        "Error merging shape info. Falling back to lenient merge"
    );
}

#[test]
fn a_warning_is_told_once_a_model_and_output() {
    let model: Arc<str> = "a_warning_is_told_once".into();
    let loaded = LoggedMessages::of(&model);
    assert!(is_new(&model, SHAPE));
    assert!(!is_new(&model, SHAPE));
    assert!(!is_new(&model, &SHAPE.replace("2,4", "17,4")), "of another batch");
    assert!(is_new(&model, &SHAPE.replace(" y", " z")), "of another output");
    for number in 0..2 * MOST {
        is_new(&model, &number.to_string());
    }
    assert_eq!(LOGGED.lock()[&model].messages.len(), MOST);

    // A reload: the new version is loaded before the old one ends.
    let again = LoggedMessages::of(&model);
    drop(loaded);
    assert!(is_new(&model, SHAPE) && !is_new(&model, SHAPE));
    drop(again);
    assert!(!LOGGED.lock().contains_key(&model), "of a model that ended nothing is kept");
}

#[test]
fn weights_among_the_inputs_are_told_once() {
    let model: Arc<str> = "weights_among_the_inputs".into();
    let _loaded = LoggedMessages::of(&model);
    let of = |weight: &str| {
        format!("Initializer {weight} appears in graph inputs and will not be treated as constant")
    };
    assert!(is_new(&model, &of("a")) && !is_new(&model, &of("b")));
    assert!(
        is_new(&model, "Initializer a appears elsewhere")
            && is_new(&model, "Initializer b appears elsewhere")
    );
}

#[test]
fn shapes_are_left_out_of_the_comparison() {
    for (line, rest) in [("", ""), ("a {1,2} b {} c", "a  b  c"), ("a {b", "a b"), ("a } b", "a } b")] {
        assert_eq!(without_shapes(line), rest);
    }
}
