//! Files, backends and versions.

use super::*;

#[test]
fn backend_and_platform_have_to_fit() {
    let names = |text: &str| faults(text);
    assert_eq!(names("platform: \"onnxruntime_onnx\""), [""; 0]);
    assert_eq!(names("backend: \"mine\" platform: \"whatever\""), [""; 0]);
    assert_eq!(
        names("platform: \"caffe2_netdef\""),
        ["1:11: unexpected platform type 'caffe2_netdef' for m"]
    );
    assert!(names("name: \"m\"")[0].ends_with(
        "Invalid model name: Could not determine backend for model 'm' with no backend in model configuration. \
         Expected model name of the form 'model.<backend_name>'."
    ));
    assert_eq!(
        names("backend: \"onnxruntime\" platform: \"tensorrt_plan\""),
        ["1:34: unexpected 'platform' and 'backend' pair, got:tensorrt_plan, onnxruntime"]
    );
}

#[test]
fn version_policies_name_versions() {
    assert_eq!(faults_of("version_policy { all { } }"), [""; 0]);
    assert_eq!(
        faults_of("version_policy { specific { versions: [ 1, 0 ] } }"),
        ["2:44: version policy 'specific' expects versions >= 1, got 0 for m"]
    );
    assert_eq!(
        faults_of("version_policy { specific { } }"),
        ["2:18: version policy 'specific' must list at least one version for m"]
    );
}

#[test]
fn files_stay_in_the_model_directory() {
    assert_eq!(faults_of("default_model_filename: \"../common.onnx\""), [""; 0]);
    assert_eq!(
        faults_of("default_model_filename: \"../../other/1/model.onnx\""),
        ["2:25: file '../../other/1/model.onnx' must be inside of the model directory for m"]
    );
    assert_eq!(
        faults_of(
            "cc_model_filenames { key: \"8.6\" value: \"/etc/passwd\" }\ncc_model_filenames { key: \"new\" value: \"\" }"
        ),
        ["2:40: file '/etc/passwd' must be inside of the model directory for m"]
    );
    assert_eq!(
        faults_of("cc_model_filenames: {} optimization { graph { level: 3 } }"),
        [""; 0],
        "as in Triton"
    );
}

#[test]
fn the_library_of_a_backend_is_its_own() {
    let of = |runtime: &str| faults_of(&format!("runtime: \"{runtime}\""));
    assert_eq!(of("libtriton_identity.so"), [""; 0]);
    assert_eq!(of("model.py"), [""; 0], "a backend may be written in Python");
    for (runtime, part) in [
        ("libtriton_other.so", "unable to find backend library 'libtriton_other.so' for model 'm'"),
        ("../identity/libtriton_identity.so", "escapes backend directory"),
        ("/lib/libtriton_identity.so", "escapes backend directory"),
    ] {
        assert!(of(runtime)[0].contains(part), "{runtime}: {:?}", of(runtime));
    }
    let ensemble = faults("platform: \"ensemble\" runtime: \"libtriton_.so\"\nensemble_scheduling { }");
    assert!(
        ensemble.contains(&"1:31: runtime should not be specified for ensemble 'm'".to_owned()),
        "{ensemble:?}"
    );
    let nothing = faults("runtime: \"libtriton_identity.so\"");
    assert!(!nothing.iter().any(|fault| fault.contains("backend library")), "{nothing:?}");
}
