//! Instances, and what they are warmed up with.

use hippocamp_proto::inference::model_instance_group::Kind;

use super::*;

#[test]
fn instance_groups_are_sensible() {
    assert_eq!(faults_of("instance_group { kind: KIND_GPU } instance_group { gpus: 0 }"), [""; 0]);
    assert_eq!(
        faults_of(
            "instance_group { kind: KIND_CPU gpus: [ 0 ] }\ninstance_group { name: \"g\" kind: KIND_MODEL gpus: 0 }\n\
             instance_group { count: 5000 profile: \"x\" }\n\
             instance_group { rate_limiter { resources [ { name: \"R\" global: true }, { name: \"R\" } ] } }"
        ),
        [
            "2:39: instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs",
            "3:51: instance group g of model m has kind KIND_MODEL but specifies one or more GPUs",
            "4:25: instance group m_2 of model m has count 5000, expected at most 4096",
            "4:39: instance group m_2 of model m and platform specifies profile field which is only supported for \
             TensorRT models",
            "5:73: Resource \"R\" is present as both global and device-specific resource in the model configuration.",
        ]
    );
}

#[test]
fn instance_groups_fit_the_machine() {
    let placed = |text: &str, gpus: &[i32], backend_supports_gpu: bool| {
        let Parsed { mut config, spans } = read(text);
        let backend = if backend_supports_gpu { config.backend.as_str() } else { "another" };
        let facts = DefaultFacts::with_gpus(backend, gpus);
        apply_defaults(&mut config, "m", &facts);
        lines(validate_placement(&config, Some(&spans), "c", &facts))
    };
    assert_eq!(placed("", &[], false), [""; 0]);
    assert_eq!(placed("instance_group { kind: KIND_GPU }", &[0, 1], true), [""; 0]);
    assert_eq!(
        placed("instance_group { kind: KIND_GPU }", &[], true),
        ["1:24: instance group m_0 of model m has kind KIND_GPU but no GPUs are available"]
    );
    assert_eq!(
        placed("instance_group { kind: KIND_GPU }", &[0], false),
        ["1:24: instance group m_0 of model m has kind KIND_GPU but server does not support GPUs"]
    );
    assert_eq!(
        placed("instance_group { kind: KIND_GPU gpus: [ 1, 7 ] }", &[0, 1], true),
        [
            "1:44: instance group m_0 of model m specifies invalid or unsupported gpu id 7. Supported GPUs are: 0, 1"
        ]
    );
}

/// What a library can use that somebody brings is not known before it is opened.
#[test]
fn backends_that_are_brought_may_use_all_gpus() {
    let placed = |text: &str, foreign_gpus| {
        let Parsed { mut config, spans } = read(text);
        let facts = DefaultFacts { foreign_gpus, ..DefaultFacts::with_gpus("own", &[0, 1]) };
        let facts = DefaultFacts { backends: [("own".to_owned(), BackendFacts::PLAIN)].into(), ..facts };
        apply_defaults(&mut config, "m", &facts);
        let group = &config.instance_group[0];
        let faults = lines(validate_placement(&config, Some(&spans), "c", &facts));
        (group.kind(), group.gpus.clone(), faults.len())
    };
    let any = Some(GpuSupport::From(0, 0));
    for backend in
        ["backend: \"python\"", "backend: \"mine\"", "backend: \"own\" runtime: \"libtriton_own.so\""]
    {
        assert_eq!(placed(backend, any), (Kind::Gpu, vec![0, 1], 0), "{backend}");
        assert_eq!(placed(backend, None), (Kind::Cpu, vec![], 0), "{backend}");
        let on_gpu = format!("{backend} instance_group {{ kind: KIND_GPU gpus: 1 }}");
        assert_eq!(placed(&on_gpu, any), (Kind::Gpu, vec![1], 0));
        assert_eq!(placed(&on_gpu, None).2, 1);
    }
    assert_eq!(placed("backend: \"own\"", any), (Kind::Cpu, vec![], 0), "it has said what it uses");
}

#[test]
fn warmup_samples_can_be_made() {
    let sample = |inputs: &str| faults_of(&format!("model_warmup {{ name: \"w\" batch_size: 1 {inputs} }}"));
    let input =
        |name: &str, fields: &str| sample(&format!("inputs {{ key: \"{name}\" value {{ {fields} }} }}"));
    assert_eq!(input("x", "data_type: TYPE_FP32 dims: [ 2, 5 ] zero_data: true"), [""; 0]);
    assert_eq!(
        input("x", "data_type: TYPE_FP32 dims: [ 2, -1 ]"),
        [
            "2:93: warmup setting expects all variable-size dimensions are specified for input 'x' for m",
            "2:40: warmup setting expects input 'x' to have input_data_type set for m",
        ]
    );
    assert_eq!(
        input("q", "dims: 9223372036854775807 input_data_file: \"/a\""),
        [
            "2:40: warmup setting has unknown input 'q' for m",
            "2:40: warmup setting must specify 'data_type' for input 'q' for m",
        ]
    );
    assert_eq!(
        input("x", "data_type: TYPE_STRING dims: 9223372036854775807 input_data_file: \"/a\""),
        [
            "2:95: warmup setting for input 'x' has more elements than can be counted for m",
            "2:132: file '/a' must be inside of the model directory for m",
        ]
    );
    assert_eq!(
        faults_of("model_warmup { name: \"w\" batch_size: 9 }"),
        ["2:38: warmup sample 'w' has batch size 9, must be <= max batch size 8 for m"]
    );
}
