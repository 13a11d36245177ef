//! Probes of containers.

use super::*;

fn container(kind: &str, probes: &str) -> Order {
    let pod = format!(
        "{{containers: [{{name: c, image: triton, args: [tritonserver, --model-repository=/m]{probes}}}]}}"
    );
    one(&match kind {
        "Pod" => format!("kind: Pod\nmetadata: {{name: p}}\nspec: {pod}\n"),
        "CronJob" => format!(
            "kind: CronJob\nmetadata: {{name: p}}\nspec: {{jobTemplate: {{spec: {{template: {{spec: {pod}}}}}}}}}\n"
        ),
        _ => format!("kind: {kind}\nmetadata: {{name: p}}\nspec: {{template: {{spec: {pod}}}}}\n"),
    })
}

fn written(order: &Order) -> serde_json::Value {
    yaml::documents(&order.rewritten(&order.flags, "1")).unwrap().remove(0)[0].take()
}

#[test]
fn they_keep_their_numbers_and_their_way() {
    let order = container(
        "Deployment",
        ", readinessProbe: {httpGet: {path: /v2/health/ready, port: http, httpHeaders: [{name: A, value: '1'}]}, initialDelaySeconds: 5, periodSeconds: 7, timeoutSeconds: 3, failureThreshold: 9}, \
         livenessProbe: {exec: {command: [curl, localhost]}, periodSeconds: 11}",
    );
    let line = order.rewritten(&order.flags, "1");
    assert!(line.contains("  readinessProbe: {httpGet: {httpHeaders: [{name: A, value: \"1\"}], path: /v2/health/ready, port: http}, failureThreshold: 9, initialDelaySeconds: 5, periodSeconds: 7, timeoutSeconds: 3}\n"), "{line}");
    assert!(
        line.contains("  livenessProbe: {httpGet: {path: /v2/health/live, port: 8000}, periodSeconds: 11}\n"),
        "{line}"
    );
    assert_eq!(said(&order, "readinessProbe").verdict, Verdict::Kept);
    assert_eq!(said(&order, "livenessProbe").verdict, Verdict::Different);
    assert_eq!(said(&order, "startupProbe").verdict, Verdict::Different, "it is new");
    assert_eq!(written(&order)["startupProbe"]["httpGet"]["path"], "/v2/health/ready");
}

#[test]
fn what_ends_by_itself_gets_none() {
    for kind in ["Job", "CronJob"] {
        let order = container(kind, "");
        assert!(!order.rewritten(&order.flags, "1").contains("Probe"), "{kind}");
    }
    let order = container("CronJob", ", readinessProbe: {grpc: {port: 8001}, periodSeconds: 2}");
    assert_eq!(
        written(&order)["readinessProbe"],
        serde_json::json!({"grpc": {"port": "8001"}, "periodSeconds": "2"})
    );
    assert!(written(&order).get("livenessProbe").is_none());
    assert!(written(&container("Pod", "")).get("livenessProbe").is_some());
}
