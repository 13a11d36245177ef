"""The chart by Helm's own code, the manifests against the schemas of Kubernetes, and every flag in them by the server."""

import os
import re
import subprocess
import sys

import pytest
from clean import ROOT
from conftest import need
from server_process import BINARY

sys.path.append(os.path.join(ROOT, ".cache", "python", "package-tests"))

import helm_python as helm  # noqa: E402
import kubernetes_validate  # noqa: E402
import yaml  # noqa: E402

DEPLOY = os.path.join(ROOT, "deploy")
CHART = os.path.join(DEPLOY, "helm", "hippocamp")
EVERYTHING = {
    "autoscaling": {"enabled": True},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"enabled": True, "clients": [{"namespaceSelector": {}}]},
    "gpus": 1,
    "runtimeClassName": "nvidia",
    "volume": {"persistentVolumeClaim": {"claimName": "models"}},
    "credentialsSecret": "store",
    "args": ["--model-control-mode=poll", "--strict-readiness=served"],
    "env": [{"name": "AWS_REGION", "value": "eu"}],
    "service": {"type": "LoadBalancer", "headless": False, "annotations": {"a": "b"}},
    "imagePullSecrets": [{"name": "x"}],
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"operator": "Exists"}],
    "podAnnotations": {"c": "d"},
}
CASES = {
    "defaults": {},
    "everything": EVERYTHING,
    "a store": {"repository": "s3://bucket/models", "serviceAccount": {"create": False}, "podDisruptionBudget": {"enabled": False}},
    "headless": {"service": {"headless": True}, "replicas": 0},
}
# Of other projects, whose schemas no package has.
OTHERS = {"PodMonitor", "PrometheusRule", "ServingRuntime", "ClusterServingRuntime", "InferenceService"}
VERSIONS = ("1.25", "1.31", "1.37")


def rendered(values, name="demo"):
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name=name, namespace="prod")
    documents = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text) if one]
    return documents


def read(path):
    with open(os.path.join(DEPLOY, path), encoding="utf-8") as f:
        return [document for document in yaml.safe_load_all(f) if document]


def validate(document):
    """Strictly: an unknown field is a fault, as a misspelt one is."""
    if document["kind"] not in OTHERS:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


def containers(document):
    spec = document.get("spec", {})
    return (spec.get("template", {}).get("spec") or spec).get("containers", [])


def test_helm_finds_nothing_wrong():
    for values in CASES.values():
        told = helm.lint(CHART, values, strict=True)
        assert not told["errors"], told
        assert [message["error"] for message in told["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("case", CASES)
def test_what_the_chart_makes_is_what_kubernetes_takes(case):
    documents = rendered(CASES[case])
    for document in documents:
        validate(document)
    kinds = [document["kind"] for document in documents]
    assert kinds.count("Deployment") == 1 and kinds.count("Service") == 2
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]
    for service in (document for document in documents if document["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    if case == "everything":
        assert {"HorizontalPodAutoscaler", "PodMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"} <= set(kinds)
        assert "replicas" not in deployment["spec"], "the autoscaler's number would be set back"
        assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}


def test_a_wrong_value_is_refused():
    for values in ({"replicas": -1}, {"args": ["model-control-mode"]}, {"repository": "bucket"}, {"replica": 2}, {"repository": "/data", "volume": {"emptyDir": {}}}):
        with pytest.raises(helm.HelmError):
            rendered(values)


def test_the_charts_alerts_are_those_of_prometheus():
    (rules,) = read("prometheus/rules.yaml")
    (made,) = [document for document in rendered(EVERYTHING) if document["kind"] == "PrometheusRule"]
    assert made["spec"] == rules and made["metadata"]["labels"]["release"] == "prometheus"
    with open(os.path.join(DEPLOY, "prometheus", "rules.yaml"), "rb") as f, open(os.path.join(CHART, "rules.yaml"), "rb") as copy:
        assert f.read() == copy.read()
    kinds = [document["kind"] for document in rendered({"monitoring": {"enabled": True, "rules": False}})]
    assert "PodMonitor" in kinds and "PrometheusRule" not in kinds


@pytest.mark.parametrize("length", [1, 44, 45, 46, 47, 53])
@pytest.mark.parametrize("letters", ["x", "hippocamp-x"])
def test_names_are_as_short_as_kubernetes_wants_them(length, letters):
    """Helm takes 53 letters for a release, Kubernetes 63 for a service."""
    documents = rendered(EVERYTHING, name=(letters * 53)[:length].rstrip("-"))
    names = [document["metadata"]["name"] for document in documents]
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names), names
    services = [document["metadata"]["name"] for document in documents if document["kind"] == "Service"]
    assert len(set(services)) == 2


def test_what_is_set_arrives_as_it_was_written():
    values = {"repository": "s3://b/x #y: z", "runtimeClassName": "1e3", "credentialsSecret": "007", "serviceAccount": {"create": False, "name": "own"}}
    (deployment,) = [document for document in rendered(values) if document["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert "--model-repository=s3://b/x #y: z" in pod["containers"][0]["args"]
    assert (pod["runtimeClassName"], pod["serviceAccountName"]) == ("1e3", "own")
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "007"}}]


def test_the_schema_check_can_fail():
    (deployment,) = [document for document in rendered({}) if document["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment)


def test_the_pod_ends_after_the_server():
    for values in ({}, {"drainDelaySeconds": 20, "exitTimeoutSeconds": 100}):
        (deployment,) = [document for document in rendered(values) if document["kind"] == "Deployment"]
        pod = deployment["spec"]["template"]["spec"]
        flags = dict(flag.removeprefix("--").split("=") for flag in pod["containers"][0]["args"] if "secs" in flag)
        assert pod["terminationGracePeriodSeconds"] > int(flags["drain-delay-secs"]) + int(flags["exit-timeout-secs"])
        # Kubernetes notices in less time than the server goes on.
        probe = pod["containers"][0]["readinessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] < int(flags["drain-delay-secs"])


@pytest.mark.parametrize("values", [*CASES.values(), {"args": ["--strict-readiness=true"]}])
def test_one_model_takes_no_other_out_of_service_unless_it_is_asked_for(values):
    (args,) = [c["args"] for document in rendered(values) if document["kind"] == "Deployment" for c in containers(document)]
    wanted = next((flag for flag in values.get("args", []) if flag.startswith("--strict-readiness")), "--strict-readiness=served")
    assert [flag for flag in args if flag.startswith("--strict-readiness")] == [wanted]


def test_plain_manifests_are_what_the_chart_makes():
    subprocess.run([os.path.join(DEPLOY, "kubernetes", "make"), "--check"], check=True)
    for document in read("kubernetes/hippocamp.yaml"):
        validate(document)


def arguments():
    """Every list of flags in deploy/."""
    found = {}
    for document in [*rendered(EVERYTHING), *read("kserve/runtime.yaml"), *read("kubernetes/hippocamp.yaml")]:
        for container in containers(document):
            found[f"{document['kind']} {document['metadata']['name']}"] = container["args"]
    compose = read("compose/compose.yaml")[0]
    found["compose"] = compose["services"]["a"]["command"]
    with open(os.path.join(DEPLOY, "systemd", "hippocamp.default"), encoding="utf-8") as f:
        found["systemd"] = re.search(r'^HIPPOCAMP_FLAGS="(.*)"$', f.read(), re.MULTILINE)[1].split()
    return found


@pytest.mark.parametrize("place", ["Deployment demo-hippocamp", "Deployment hippocamp", "ClusterServingRuntime kserve-tritonserver", "ServingRuntime hippocamp", "compose", "systemd"])
def test_the_server_knows_every_flag(place):
    """`migrate` says of each whether this server has it."""
    got = subprocess.run([BINARY, "migrate", "tritonserver", *arguments()[place]], capture_output=True, text=True, check=False)
    assert got.returncode == 0 and "--model-repository" in got.stdout, got.stdout + got.stderr


def test_kserve_finds_what_it_looks_for():
    runtimes = read("kserve/runtime.yaml")
    assert [(one["kind"], one["metadata"]["name"]) for one in runtimes] == [
        ("ClusterServingRuntime", "kserve-tritonserver"),
        ("ServingRuntime", "hippocamp"),
    ]
    for runtime in runtimes:
        assert runtime["apiVersion"] == "serving.kserve.io/v1alpha1"
        (container,) = runtime["spec"]["containers"]
        assert container["name"] == "kserve-container"
        assert {"--model-repository=/mnt/models", "--http-port=8080", "--grpc-port=9000"} <= set(container["args"])
        assert runtime["spec"]["protocolVersions"] == ["v2", "grpc-v2"]
        # What migrate writes names the second, of whatever format the models are.
        formats = {one["name"] for one in runtime["spec"]["supportedModelFormats"]}
        assert formats == {"onnx", "tensorrt", "tensorflow", "pytorch", "triton"}
        # A container of a runtime has the fields of one of a pod.
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
        validate(pod)


def test_systemd_reads_the_unit(tmp_path):
    need("systemd-analyze")
    with open(os.path.join(DEPLOY, "systemd", "hippocamp.service"), encoding="utf-8") as f:
        text = f.read().replace("/usr/bin/hippocamp", BINARY)
    unit = tmp_path / "hippocamp.service"
    unit.write_text(text, encoding="utf-8")
    got = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    ours = [line for line in got.stderr.splitlines() if "hippocamp.service" in line]
    assert got.returncode == 0 and not ours, got.stderr


def test_the_proxy_reads_its_settings():
    need("haproxy")
    got = subprocess.run(["haproxy", "-c", "-f", os.path.join(DEPLOY, "compose", "haproxy.cfg")], capture_output=True, text=True, check=False)
    # The names are those of services of the Compose file: nobody has them here.
    warnings = [line for line in got.stderr.splitlines() if "[WARNING]" in line and "could not resolve address" not in line]
    assert got.returncode == 0 and not warnings, got.stderr
    services = read("compose/compose.yaml")[0]["services"]
    assert {"a", "b", "proxy"} == set(services) and set(services["proxy"]["depends_on"]) == {"a", "b"}
