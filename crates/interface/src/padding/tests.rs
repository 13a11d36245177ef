use super::*;
use hippocamp_model_config::parse;

const BERT: &str = r#"
    name: "m" max_batch_size: 8
    input { name: "ids" data_type: TYPE_INT64 dims: -1 }
    input { name: "mask" data_type: TYPE_INT64 dims: -1 optional: true }
    input { name: "x" data_type: TYPE_FP16 dims: [ 3, -1 ] }
    output { name: "y" data_type: TYPE_FP32 dims: [ -1, 4 ] }"#;

fn config(parameters: &[(&str, &str)]) -> ModelConfig {
    let parameters = parameters.iter().map(|(key, value)| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
    });
    parse(&format!("{BERT}\n{}", parameters.collect::<String>()), "config.pbtxt").unwrap().config
}

fn padding(parameters: &[(&str, &str)]) -> Padding {
    Interface::new(&config(parameters)).unwrap().padding.unwrap()
}

fn fault(parameters: &[(&str, &str)]) -> String {
    Interface::new(&config(parameters)).unwrap_err().to_string()
}

const BUCKETS: (&str, &str) = ("padding.buckets", "4, 16");
const IDS: (&str, &str) = ("padding.input.ids", "value=7");

#[test]
fn is_read_from_parameters() {
    let padding = padding(&[
        BUCKETS,
        IDS,
        ("padding.input.mask", "fill=1"),
        ("padding.input.x", "value=-1, dim=1"),
        ("padding.output.y", ""),
    ]);
    assert_eq!(padding.inputs.len(), 3);
    let (mask, x) = (padding.input(1).unwrap(), padding.input(2).unwrap());
    assert_eq!(padding.input(0).unwrap().value, 7i64.to_le_bytes().into());
    assert_eq!((mask.dim, &mask.value, &mask.fill), (1, &[0; 8].into(), &Some(1i64.to_le_bytes().into())));
    assert_eq!((x.dim, &x.value), (2, &[0x00, 0xbc].into()));
    assert_eq!(padding.output(0), Some(&PaddedOutput { index: 0, dim: 1 }));
    assert_eq!(made_inputs(&config(&[("padding.input.mask", "value=0 fill=1")])), ["mask"].into());
    assert_eq!(Interface::new(&config(&[])).unwrap().padding, None);
}

#[test]
fn requests_fit_within_a_bucket() {
    let padding = padding(&[BUCKETS, IDS]);
    assert!(padding.fit_together(1, 4) && padding.fit_together(5, 16));
    assert!(!padding.fit_together(4, 5) && !padding.fit_together(16, 17));
    // Beyond the last bucket only equals fit; without a length, nothing does.
    assert!(padding.fit_together(17, 17) && !padding.fit_together(17, 18));
    assert!(!padding.fit_together(0, 0) && !padding.fit_together(0, 1));
}

#[test]
fn pads_to_the_longest_or_to_the_edge() {
    let to_batch = padding(&[BUCKETS, IDS]);
    assert_eq!([0, 3, 4, 5, 17].map(|longest| to_batch.padded_length(longest)), [0, 3, 4, 5, 17]);
    let to_edge = padding(&[BUCKETS, IDS, ("padding.length", "bucket")]);
    assert_eq!([0, 3, 4, 5, 17].map(|longest| to_edge.padded_length(longest)), [0, 4, 4, 16, 17]);
}

#[test]
fn what_is_wrong_is_told() {
    for (parameters, expected) in [
        (vec![IDS], "padding needs the parameter 'padding.buckets'"),
        (vec![BUCKETS], "padding needs an input that every request gives"),
        (vec![BUCKETS, ("padding.input.mask", "fill=1")], "padding needs an input that every request gives"),
        (vec![IDS, ("padding.buckets", "16,4")], "expected ascending lengths"),
        (vec![IDS, ("padding.buckets", "4,x")], "expected ascending lengths"),
        (vec![IDS, ("padding.buckets", "0")], "expected ascending lengths"),
        (vec![BUCKETS, ("padding.input.nope", "")], "the model has no input 'nope'"),
        (vec![BUCKETS, IDS, ("padding.output.nope", "")], "the model has no output 'nope'"),
        (
            vec![BUCKETS, ("padding.input.ids", "value=x")],
            "expected an element of INT64 for 'ids', got \"x\"",
        ),
        (vec![BUCKETS, ("padding.input.ids", "size=4")], "expected the settings value, dim and fill"),
        (
            vec![BUCKETS, ("padding.input.x", "dim=0")],
            "has dims [3,-1]: expected exactly one dimension of -1",
        ),
        (vec![BUCKETS, ("padding.input.ids", "fill=1")], "input 'ids' can be filled only if it is optional"),
        (vec![BUCKETS, IDS, ("padding.length", "long")], "expected \"batch\" or \"bucket\", got \"long\""),
        (vec![BUCKETS, IDS, ("padding.input", "x")], "unknown parameter; there are padding.buckets"),
    ] {
        let fault = fault(&parameters);
        assert!(fault.contains(expected), "{parameters:?}: {fault}");
    }
    let mut unbatched = config(&[BUCKETS, IDS]);
    unbatched.max_batch_size = 0;
    let fault = Interface::new(&unbatched).unwrap_err().to_string();
    assert!(fault.contains("padding needs a model with a max_batch_size of 1 or more"), "{fault}");
}
