//! What instances do with batches.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use hippocamp_backend::{Code, WantedOutputs};
use hippocamp_device::testing::TestDriver;
use hippocamp_tensor::Place;
use kit::{Setup, VERSIONS, floats, input, integers, output, plan};

const TWICE: &str = "
    input x FLOAT -1,2 device data 1,2:4,2:8,2
    output y FLOAT x.0,2 device data
    affine x y 2 0";

#[test]
fn a_config_is_completed_from_the_plan() {
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, TWICE, "").unwrap();
        let config = &model.config;
        assert_eq!((config.max_batch_size, config.input[0].dims.as_slice()), (8, &[2][..]));
        assert_eq!((config.input[0].name.as_str(), config.output[0].name.as_str()), ("x", "y"));
        assert!(config.scheduling_choice.is_some(), "batches are formed");
        let groups: Vec<_> =
            config.instance_group.iter().map(|group| (group.kind, group.gpus.clone())).collect();
        assert_eq!(groups, [(1, vec![0])], "KIND_GPU on the only device");
    }
}

#[test]
fn a_plan_of_one_item_takes_a_batch_of_one() {
    let text = "
        input x FLOAT 1,2 device data
        output y FLOAT x.0,2 device data
        affine x y 2 0";
    let config = |max: i32| {
        format!(
            "max_batch_size: {max} input {{ name: 'x' data_type: TYPE_FP32 dims: 2 }} \
             output {{ name: 'y' data_type: TYPE_FP32 dims: 2 }}"
        )
    };
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, text, &config(1)).unwrap();
        let responses = model.run(vec![vec![input(&[1, 2], floats([1.0, 2.0]))]]);
        assert_eq!(output(responses[0].as_ref().unwrap(), 0), (vec![1, 2], floats([2.0, 4.0])));
    }
    let Err(two) = Setup::with_plan(0, text, &config(2)) else { panic!("it takes one item") };
    assert!(
        two.message().contains("specified max-batch 2 but TensorRT engine only supports max-batch 1"),
        "{two}"
    );
}

#[test]
fn every_type_is_passed_as_it_is() {
    let types = [
        ("HALF", "TYPE_FP16", 2),
        ("BF16", "TYPE_BF16", 2),
        ("INT8", "TYPE_INT8", 1),
        ("INT64", "TYPE_INT64", 8),
        ("BOOL", "TYPE_BOOL", 1),
        ("UINT8", "TYPE_UINT8", 1),
    ];
    for (name, _, size) in types {
        let text = format!(
            "input x {name} -1,3 device data 1,3:1,3:4,3\noutput y {name} x.0,3 device data\ncopy x y"
        );
        let (_setup, model) = Setup::with_plan(1, &text, "").unwrap();
        let content: Vec<u8> = (0..2 * 3 * size).map(|byte| byte as u8 & 1).collect();
        let responses = model.run(vec![vec![input(&[2, 3], content.clone())]]);
        let (shape, bytes) = output(responses[0].as_ref().unwrap(), 0);
        assert_eq!((shape.as_slice(), &bytes[..]), (&[2, 3][..], &content[..]), "{name}");
    }
}

#[test]
fn the_profile_is_chosen_by_shape() {
    let text = "
        profiles 2
        input x FLOAT -1,-1 device data 1,1:2,2:2,2 1,4:2,8:2,16
        output y FLOAT x.0,x.1 device data
        affine x y 2 0";
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, text, "max_batch_size: 2").unwrap();
        let mut instance = model.instance();
        let mut run = |columns: i64| {
            let request = vec![input(&[1, columns], floats((0..columns).map(|v| v as f32)))];
            model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0)
        };
        for columns in [2, 8, 1, 16, 2] {
            let expected = floats((0..columns).map(|v| 2.0 * v as f32));
            assert_eq!(output(&run(columns).unwrap(), 0), (vec![1, columns], expected));
        }
        let error = run(3).unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (
                Code::InvalidArg,
                "request specifies invalid shape for input 'x' for m. Error details: its optimization profiles take [1, 1] to [2, \
                 2], or [1, 4] to [2, 16], the batch has [1, 3]"
            )
        );
    }
}

#[test]
fn a_shape_that_the_only_profile_does_not_take_is_said_in_tritons_words() {
    let text = TWICE.replace(" -1,2 device", " -1,-1 device");
    let (_setup, model) = Setup::with_plan(0, &text, "").unwrap();
    let error = model.run(vec![vec![input(&[1, 3], floats([0.0; 3]))]]).remove(0).unwrap_err();
    assert_eq!(
        error.message(),
        "request specifies invalid shape for input 'x' for m. Error details: model expected the shape of dimension 1 to be between 2 \
         and 2 but received 3"
    );
}

#[test]
fn a_group_has_the_profiles_that_it_names() {
    let text = "
        profiles 2
        input x FLOAT -1,2 device data 1,2:2,2:2,2 1,2:4,2:4,2
        output y FLOAT x.0,2 device data
        affine x y 2 0";
    let config = "max_batch_size: 4 instance_group { kind: KIND_GPU count: 1 profile: \"0\" }";
    let (_setup, model) = Setup::with_plan(1, text, config).unwrap();
    let error = model.run(vec![vec![input(&[3, 2], floats([0.0; 6]))]]).remove(0).unwrap_err();
    assert!(error.message().ends_with("dimension 0 to be between 1 and 2 but received 3"), "{error:?}");
    let config = "max_batch_size: 4 instance_group { kind: KIND_GPU count: 1 profile: \"2\" }";
    let (_setup, model) = Setup::with_plan(1, text, config).unwrap();
    let error = model.instance_on(0, 0).err().unwrap();
    assert!(error.message().contains("expected to be numbers from 0 to 1, got '2'"), "{error:?}");
}

#[test]
fn outputs_that_the_config_leaves_out_are_computed_and_dropped() {
    let text = format!("{TWICE}\noutput z FLOAT x.0,2 device data\naffine x z 3 0");
    let config = "max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: 2 } \
        output { name: \"z\" data_type: TYPE_FP32 dims: 2 }";
    let (_setup, model) = Setup::with_plan(0, &text, config).unwrap();
    let responses = model.run(vec![vec![input(&[1, 2], floats([1.0, 2.0]))]]);
    let response = responses[0].as_ref().unwrap();
    assert_eq!((response.outputs.len(), output(response, 0).1), (1, floats([3.0, 6.0])));
}

#[test]
fn a_batch_below_the_least_of_the_plan_is_filled_up() {
    let text = TWICE.replace("1,2:4,2", "4,2:4,2");
    let (_setup, model) = Setup::with_plan(0, &text, "").unwrap();
    let responses = model.run(vec![vec![input(&[1, 2], floats([1.0, 2.0]))]]);
    assert_eq!(output(responses[0].as_ref().unwrap(), 0), (vec![1, 2], floats([2.0, 4.0])));
}

#[test]
fn shape_tensors_have_the_batch_as_their_first_value() {
    let text = "
        input x FLOAT -1,2 device data 1,2:2,2:4,2
        input s INT32 2 host shape 1,1:2,4:4,8
        output y FLOAT x.0,2 device data
        output t INT32 2 host shape
        affine x y 1 1
        values s t";
    let config = r#"max_batch_size: 4
        input [ { name: "x" data_type: TYPE_FP32 dims: 2 }, { name: "s" data_type: TYPE_INT32 dims: 1 is_shape_tensor: true } ]
        output [ { name: "y" data_type: TYPE_FP32 dims: 2 }, { name: "t" data_type: TYPE_INT32 dims: 1 is_shape_tensor: true } ]"#;
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, text, config).unwrap();
        let request = |s| vec![input(&[2, 2], floats([1.0; 4])), input(&[1], integers([s]))];
        let responses = model.run(vec![request(5)]);
        let response = responses[0].as_ref().unwrap();
        assert_eq!(output(response, 0), (vec![2, 2], floats([2.0; 4])));
        assert_eq!(output(response, 1), (vec![1], integers([5])), "without the batch");
        let error = model.run(vec![request(9)]).remove(0).unwrap_err();
        assert!(error.message().contains("shape value 1 to be between 1 and 8 but received 9"), "{error:?}");
    }
}

#[test]
fn shapes_can_come_from_values() {
    let text = "
        input x INT32 4 device data
        input s INT64 1 host shape 1:2:4
        output y INT32 s#0 device data
        affine x y 1 0";
    let (_setup, model) = Setup::with_plan(1, text, "").unwrap();
    assert!(model.config.input[1].is_shape_tensor, "{:?}", model.config.input);
    let request = vec![input(&[4], integers(0..4)), input(&[1], 4_i64.to_le_bytes().to_vec())];
    let responses = model.run(vec![request]);
    assert_eq!(output(responses[0].as_ref().unwrap(), 0), (vec![4], integers(0..4)));
}

#[test]
fn the_shape_of_an_output_can_come_of_the_run() {
    let text = "
        input x FLOAT 5 device data
        output y FLOAT -1 device data
        late x y";
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, text, "").unwrap();
        let mut instance = model.instance();
        for (values, expected) in [
            ([1.0, -1.0, 2.0, -2.0, 3.0], vec![1.0, 2.0, 3.0]),
            ([-1.0; 5], vec![]),
            ([4.0, 5.0, -1.0, -1.0, -1.0], vec![4.0, 5.0]),
        ] {
            let request = vec![input(&[5], floats(values))];
            let responses = model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL);
            let got = output(responses[0].as_ref().unwrap(), 0);
            assert_eq!(got, (vec![expected.len() as i64], floats(expected)));
        }
    }
}

#[test]
fn outputs_stay_on_the_device_if_they_are_wanted_there() {
    let (setup, model) = Setup::with_plan(0, TWICE, "").unwrap();
    let mut instance = model.instance();
    let wanted = WantedOutputs::all_at(Place::Device(0), 1);
    let mut run = |wanted: &WantedOutputs| {
        let before = setup.driver.device(0).transfers();
        let request = vec![input(&[1, 2], floats([1.0, 2.0]))];
        let response = model.run_on(&mut *instance, vec![request], wanted).remove(0).unwrap();
        let after = setup.driver.device(0).transfers();
        (response, after.to_host - before.to_host, after.from_host - before.from_host)
    };
    let (response, to_host, from_host) = run(&wanted);
    assert_eq!((response.outputs[0].data.place(), to_host, from_host), (Place::Device(0), 0, 1));
    assert_eq!(output(&response, 0).1, floats([2.0, 4.0]));
    let (response, ..) = run(&WantedOutputs::ALL);
    assert_ne!(response.outputs[0].data.place(), Place::Device(0));
    assert_eq!(output(&response, 0).1, floats([2.0, 4.0]));
}

#[test]
fn instances_on_a_device_share_its_engine_and_devices_have_plans_of_their_own() {
    let driver = TestDriver::new(2, 1 << 30);
    let setup = Setup::on(driver, VERSIONS[0].0).file("model.plan", &plan(0, TWICE));
    let model = setup.load("instance_group { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] }").unwrap();
    let mut instances =
        [(0, 0), (1, 0), (2, 1), (3, 1)].map(|(index, gpu)| model.instance_on(index, gpu).unwrap());
    for instance in &mut instances {
        let request = vec![input(&[1, 2], floats([1.0, 2.0]))];
        let response = model.run_on(&mut **instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
        assert_eq!(output(&response, 0).1, floats([2.0, 4.0]));
    }
    assert!(setup.driver.device(1).transfers().from_host > 0);
}

#[test]
fn memory_that_is_short_fails_the_request_and_the_instance_goes_on() {
    let (setup, model) = Setup::with_plan(0, TWICE, "").unwrap();
    let mut instance = model.instance();
    let device = setup.driver.device(0);
    device.set_limit(device.allocated());
    let request = || vec![input(&[4, 2], floats([1.0; 8]))];
    let error = model.run_on(&mut *instance, vec![request()], &WantedOutputs::ALL).remove(0).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    device.set_limit(1 << 30);
    let response = model.run_on(&mut *instance, vec![request()], &WantedOutputs::ALL).remove(0).unwrap();
    assert_eq!(output(&response, 0).1, floats([2.0; 8]));
}

#[test]
fn a_run_that_fails_says_what_the_library_said() {
    let text = format!("{TWICE}\nrefuse 3");
    let (_setup, model) = Setup::with_plan(0, &text, "").unwrap();
    let mut instance = model.instance();
    let mut run = |rows: i64| {
        let request = vec![input(&[rows, 2], floats((0..2 * rows).map(|v| v as f32)))];
        model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0)
    };
    let error = run(3).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().starts_with("model 'm' on GPU 0: "), "{error:?}");
    assert!(
        error.message().ends_with("enqueueV3: Error Code 1: Cuda Runtime (3 rows are refused)"),
        "{error:?}"
    );
    assert!(run(2).is_ok(), "the instance goes on");
}

#[test]
fn graphs_that_cannot_be_captured_are_done_without() {
    let config = "optimization { cuda { graphs: true } } max_batch_size: 4";
    let (_setup, model) = Setup::with_plan(0, TWICE, config).unwrap();
    let responses = model.run(vec![vec![input(&[3, 2], floats([1.0; 6]))]]);
    assert_eq!(output(responses[0].as_ref().unwrap(), 0).1, floats([2.0; 6]));
}
