//! KServe's services and runtimes.

use super::*;

fn service(predictor: &str) -> String {
    format!(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: m}}\nspec: {{predictor: {predictor}}}\n"
    )
}

fn predictor(order: &Order) -> serde_json::Value {
    let written = order.rewritten(&order.flags, "1");
    yaml::documents(&written).unwrap().remove(0)["spec"]["predictor"]["model"].take()
}

#[test]
fn a_model_that_names_the_runtime() {
    let order = one(&service(
        "{model: {modelFormat: {name: tensorrt, version: '8'}, runtime: kserve-tritonserver, runtimeVersion: 24.08-py3, \
         storageUri: 's3://b/m', args: ['--log-verbose=1'], env: [{name: OMP_NUM_THREADS, value: '1'}], \
         resources: {limits: {nvidia.com/gpu: 1}}}}",
    ));
    assert_eq!(order.place, "InferenceService m");
    assert_eq!(order.flags, ["--log-verbose=1"]);
    assert!(order.gpus);
    assert_eq!(said(&order, "runtime: kserve-tritonserver").verdict, Verdict::Different);
    assert_eq!(
        said(&order, "runtimeVersion").verdict,
        Verdict::Dropped,
        "it would be the tag of another image"
    );
    assert_eq!(said(&order, "storageUri: s3://b/m").verdict, Verdict::Kept);
    assert_eq!(said(&order, "OMP_NUM_THREADS=1").verdict, Verdict::Kept);
    let model = predictor(&order);
    assert_eq!(model["modelFormat"]["name"], "tensorrt");
    assert_eq!(model["runtime"], "hippocamp");
    assert_eq!(model["storageUri"], "s3://b/m");
    assert_eq!(model["args"], serde_json::json!(["--log-verbose=1"]));
    // KServe takes the first protocol for a runtime that is none of its own.
    assert_eq!(model["protocolVersion"], "v2");
}

#[test]
fn which_services_are_triton_s() {
    let found = |predictor: &str| read(&["f".to_owned()], |_| Ok(service(predictor)));
    for predictor in [
        "{triton: {storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: triton}, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: onnx}, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: tensorrt}, storage: {key: k, path: p}}}",
        "{model: {modelFormat: {name: tensorflow}, protocolVersion: v2, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: pytorch}, runtime: triton-25.03, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: pytorch}, runtime: tritonserver-gpu, protocolVersion: grpc-v2}}",
    ] {
        let orders = found(predictor).unwrap_or_else(|why| panic!("{predictor}: {why}"));
        assert_eq!(orders.len(), 1, "{predictor}");
        assert!(matches!(orders[0].form, Form::InferenceService { .. }), "{predictor}");
    }
    for predictor in [
        "{model: {modelFormat: {name: sklearn}, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: tensorflow}, storageUri: 's3://b/m'}}",
        "{model: {modelFormat: {name: onnx}, runtime: hippocamp, storageUri: 's3://b/m'}}",
        "{sklearn: {storageUri: 's3://b/m'}}",
    ] {
        let fault = found(predictor).unwrap_err();
        assert!(fault.contains("no predictor of KServe is Triton's"), "{predictor}: {fault}");
    }
}

#[test]
fn older_and_other_forms_of_a_service() {
    let order =
        one("apiVersion: serving.kubeflow.org/v1alpha2\nkind: InferenceService\nmetadata: {name: m}\n\
         spec: {default: {predictor: {triton: {storageUri: 's3://b/m', runtimeVersion: 20.03-py3}}}}\n");
    assert_eq!(said(&order, "predictor.triton").verdict, Verdict::Different);
    assert_eq!(predictor(&order)["modelFormat"]["name"], "triton");
    let order = one(&service(
        "{model: {modelFormat: {name: triton}, protocolVersion: grpc-v2, command: [tritonserver], args: [--model-store=/mnt/models, --log-info=1]}}",
    ));
    assert_eq!(order.flags, ["--model-store=/mnt/models", "--log-info=1"]);
    assert_eq!(predictor(&order)["protocolVersion"], "grpc-v2");
    // A container of one's own is a container.
    let order = one(&service(
        "{containers: [{name: kserve-container, image: x/tritonserver, args: [tritonserver, --model-store=/mnt/models]}]}",
    ));
    assert_eq!(order.place, "container kserve-container of InferenceService m");
    // Standing beside others, none is passed over.
    let two = format!(
        "{}---\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: triton, args: [tritonserver, --model-store=/m]}}]}}\n",
        service("{model: {modelFormat: {name: triton}}}")
    );
    assert_eq!(read(&["f".to_owned()], |_| Ok(two.clone())).unwrap().len(), 2);
}

#[test]
fn a_runtime() {
    let order = one(
        "kind: ClusterServingRuntime\nmetadata: {name: kserve-tritonserver}\nspec: {containers: [{name: kserve-container, image: 'x/tritonserver:23.05-py3', \
         args: [tritonserver, --model-store=/mnt/models, --grpc-port=9000, --http-port=8080, --allow-grpc=true, --allow-http=true]}]}\n",
    );
    assert_eq!(order.flags.len(), 5);
    assert!(said(&order, "ClusterServingRuntime").why.contains("deploy/kserve/runtime.yaml"));
    assert!(order.rewritten(&order.flags, "1").contains("/v2/health/ready, port: 8080"));
}
