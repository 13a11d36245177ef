use hippocamp_interface::TensorSpec;
use hippocamp_proto::inference::{ModelDynamicBatching, ModelParameter};
use hippocamp_tensor::Shape;
use proptest::prelude::*;

use super::*;

fn config(max: i32, preferred: &[i32], parameter: Option<&str>) -> ModelConfig {
    let batching = ModelDynamicBatching { preferred_batch_size: preferred.to_vec(), ..Default::default() };
    let parameter =
        parameter.map(|text| (PLAN_BATCH_SIZES.to_owned(), ModelParameter { string_value: text.to_owned() }));
    ModelConfig {
        name: "m".to_owned(),
        max_batch_size: max,
        scheduling_choice: Some(SchedulingChoice::DynamicBatching(batching)),
        parameters: parameter.into_iter().collect(),
        ..ModelConfig::default()
    }
}

fn interface(max: i32) -> Interface {
    let spec = TensorSpec {
        name: "x".into(),
        data_type: DataType::Fp32,
        dims: Shape::from([2]),
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    Interface { inputs: vec![spec], max_batch_size: max as u32, ..Interface::default() }
}

fn sizes(max: i32, preferred: &[i32], parameter: Option<&str>) -> Vec<usize> {
    PlanSizes::from_config(&config(max, preferred, parameter), &interface(max)).unwrap().as_slice().to_vec()
}

#[test]
fn a_config_says_which_sizes_there_are() {
    assert_eq!(sizes(32, &[], None), [1, 2, 4, 8, 16, 32]);
    assert_eq!(sizes(48, &[48], None), [1, 2, 4, 8, 16, 32, 48], "the default of preferred_batch_size");
    assert_eq!(sizes(1, &[], None), [1]);
    assert_eq!(sizes(32, &[8, 16], None), [1, 8, 16, 32]);
    assert_eq!(sizes(32, &[8, 16, 32], None), [1, 8, 16, 32]);
    assert_eq!(sizes(32, &[8], Some(" 4, 2,4 ")), [2, 4, 32]);
    assert_eq!(sizes(32, &[8], Some("none")), [] as [usize; 0]);
    assert_eq!(sizes(0, &[], None), [] as [usize; 0], "without a batch dimension");
}

#[test]
fn a_wrong_parameter_is_told() {
    for text in ["", "0", "33", "a", "1,", "-1", "1;2"] {
        let error = PlanSizes::from_config(&config(32, &[], Some(text)), &interface(32)).unwrap_err();
        let expected = "the parameter 'plan_batch_sizes' of model 'm' was expected to be none, or sizes from 1 to its \
                        max_batch_size 32 such as 1,4,16, got '";
        assert_eq!(error.message(), format!("{expected}{text}'"));
    }
    let error = PlanSizes::from_config(&config(0, &[], Some("1")), &interface(0)).unwrap_err();
    assert_eq!(
        error.message(),
        "model 'm' can not have the parameter 'plan_batch_sizes': it has no batch dimension"
    );
}

#[test]
fn batches_that_cannot_be_padded_are_executed_as_they_come() {
    let changed: [fn(&mut Interface); 2] =
        [|i| i.inputs[0].data_type = DataType::Bytes, |i| i.inputs[0].allow_ragged_batch = true];
    for change in changed {
        let mut interface = interface(8);
        change(&mut interface);
        assert!(PlanSizes::from_config(&config(8, &[], None), &interface).unwrap().is_empty());
        assert!(PlanSizes::from_config(&config(8, &[], Some("none")), &interface).unwrap().is_empty());
        assert!(PlanSizes::from_config(&config(8, &[], Some("4")), &interface).is_err());
    }
}

proptest! {
    #[test]
    fn every_batch_gets_the_smallest_plan_that_has_room(
        max in 1..300_i32, preferred in prop::collection::vec(1..300_i32, 0..5), rows in 1..300_usize
    ) {
        let preferred: Vec<i32> = preferred.into_iter().filter(|size| *size <= max).collect();
        let sizes = PlanSizes::from_config(&config(max, &preferred, None), &interface(max)).unwrap();
        prop_assume!(rows <= max as usize);
        let padded = sizes.padded(rows);
        prop_assert!(padded >= rows && padded <= max as usize);
        prop_assert!(sizes.as_slice().contains(&padded));
        prop_assert!(sizes.as_slice().iter().all(|size| *size < rows || *size >= padded));
        prop_assert!(sizes.as_slice().is_sorted_by(|a, b| a < b));
        prop_assert_eq!(sizes.padded(padded), padded);
    }

    #[test]
    fn without_preferred_sizes_less_than_half_of_a_batch_is_padding(max in 1..5000_i32, rows in 1..5000_usize) {
        prop_assume!(rows <= max as usize);
        let padded = PlanSizes::from_config(&config(max, &[], None), &interface(max)).unwrap().padded(rows);
        prop_assert!(padded < 2 * rows || padded == 1);
    }
}
