use hippocamp_model_config::{parse, sequence_batching};

use super::*;

fn controls(text: &str, batched: bool) -> Controls {
    let text = format!("name: \"m\" sequence_batching {{ {text} }}");
    let config = parse(&text, "config.pbtxt").unwrap().config;
    Controls::new(sequence_batching(&config).unwrap(), batched)
}

fn bytes(controls: &Controls, row: Row<'_>) -> Vec<Vec<u8>> {
    controls.row(row).map(|tensor| tensor.data.to_host().unwrap().to_vec()).collect()
}

const CONTINUES: Row<'static> = Row { start: false, end: false, ready: true, correlation_id: None };

#[test]
fn flags_have_the_values_of_the_config_in_each_type() {
    let controls = controls(
        r#"control_input { name: "s" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 5, -7 ] } }
           control_input { name: "e" control { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0.5, 2 ] } }
           control_input { name: "r" control { kind: CONTROL_SEQUENCE_READY bool_false_true: [ true, false ] } }"#,
        true,
    );
    let row = Row { start: true, ..CONTINUES };
    let wanted = [(-7i32).to_le_bytes().to_vec(), 0.5f32.to_le_bytes().to_vec(), vec![0]];
    assert_eq!(bytes(&controls, row), wanted);
    let row = Row { end: true, ready: false, ..CONTINUES };
    let wanted = [5i32.to_le_bytes().to_vec(), 2f32.to_le_bytes().to_vec(), vec![1]];
    assert_eq!(bytes(&controls, row), wanted);
    assert!(controls.row(row).all(|tensor| tensor.shape == Shape::from([1, 1])));
}

#[test]
fn without_a_batch_dimension_a_control_has_one_dimension() {
    let text =
        r#"control_input { name: "s" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }"#;
    let controls = controls(text, false);
    assert!(controls.row(CONTINUES).all(|tensor| tensor.shape == Shape::from([1])));
}

#[test]
fn the_correlation_id_comes_in_the_type_that_the_model_wants() {
    let number = CorrelationId::Number(0x1_0000_0002);
    let text = CorrelationId::Text("né".into());
    let id = |data_type: &str, id: Option<&CorrelationId>| {
        let text = format!(
            r#"control_input {{ name: "c" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: {data_type} }} }}"#
        );
        bytes(&controls(&text, true), Row { correlation_id: id, ..CONTINUES }).remove(0)
    };
    for wide in ["TYPE_UINT64", "TYPE_INT64"] {
        assert_eq!(id(wide, Some(&number)), 0x1_0000_0002u64.to_le_bytes());
        assert_eq!(id(wide, None), [0; 8]);
    }
    for narrow in ["TYPE_UINT32", "TYPE_INT32"] {
        assert_eq!(id(narrow, Some(&number)), [2, 0, 0, 0]);
    }
    assert_eq!(id("TYPE_STRING", Some(&text)), [&[3, 0, 0, 0], "né".as_bytes()].concat());
    assert_eq!(id("TYPE_STRING", Some(&number)), [&[10, 0, 0, 0], "4294967298".as_bytes()].concat());
    assert_eq!(id("TYPE_STRING", None), [0, 0, 0, 0]);
}

#[test]
fn a_text_is_refused_where_the_model_takes_numbers() {
    let corrid = |data_type: &str| {
        let text = format!(
            r#"control_input {{ name: "c" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: {data_type} }} }}"#
        );
        controls(&text, true)
    };
    let text = CorrelationId::Text("a".into());
    assert_eq!(corrid("TYPE_UINT32").refuses(&text), Some(DataType::Uint32));
    assert_eq!(corrid("TYPE_STRING").refuses(&text), None);
    assert_eq!(corrid("TYPE_UINT32").refuses(&CorrelationId::Number(1)), None);
    assert_eq!(controls("", true).refuses(&text), None);
}
