"""The image for GPUs is assembled of Python packages; stand-ins for NVIDIA's 2 GB of libraries have their names and what they are linked with."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from clean import Installed, assert_the_face_is_found, copy_models, in_root, unpack
from conftest import need
from server_process import BINARY, LIBRARY, ROOT

# Each library, and what it is linked with, as in the packages that scripts/fetch cuda brings.
CUDA = {
    "libcublasLt.so.13": [],
    "libcublas.so.13": ["libcublasLt.so.13"],
    "libcudart.so.13": [],
    "libcufft.so.12": [],
    "libcurand.so.10": [],
    "libnvrtc.so.13": [],
    "libnvrtc-builtins.so.13.0": [],
    # These stay behind.
    "libnvrtc.alt.so.13": [],
    "libnvblas.so.13": ["libcublas.so.13"],
}
CUDNN = {
    "libcudnn_graph.so.9": [],
    "libcudnn_ops.so.9": ["libcudnn_graph.so.9"],
    "libcudnn_cnn.so.9": ["libcudnn_ops.so.9"],
    "libcudnn_adv.so.9": ["libcudnn_ops.so.9"],
    "libcudnn_heuristic.so.9": ["libcudnn_graph.so.9"],
    "libcudnn_engines_precompiled.so.9": ["libcudnn_graph.so.9"],
    "libcudnn_engines_runtime_compiled.so.9": ["libcudnn_graph.so.9"],
    "libcudnn.so.9": [],
}
PROVIDER = ["libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudart.so.13"]


def link(path, names, folder):
    """A shared library that does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-shared", "-fPIC", "-x", "c", os.devnull, f"-Wl,-soname,{path.name}", "-Wl,--no-as-needed", "-o", str(path)]
    subprocess.run([*command, "-x", "none", *(str(folder / name) for name in names)], check=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """What pip install --target would make of the packages."""
    folder = tmp_path_factory.mktemp("cuda")
    for part, libraries in {"cu13": CUDA, "cudnn": CUDNN}.items():
        for name, names in libraries.items():
            link(folder / "nvidia" / part / "lib" / name, names, folder / "nvidia" / part / "lib")
    capi = folder / "onnxruntime" / "capi"
    link(capi / "libonnxruntime_providers_cuda.so", PROVIDER, folder / "nvidia" / "cu13" / "lib")
    link(capi / "libonnxruntime_providers_shared.so", [], capi)
    shutil.copy(LIBRARY, capi / "libonnxruntime.so.1.31.1")
    (capi / "onnxruntime_pybind11_state.so").write_bytes(b"")
    for name, version in {"onnxruntime_gpu": "1.31.1", "nvidia_cublas": "13.1.0.3"}.items():
        about = folder / f"{name}-{version}.dist-info"
        (about / "licenses").mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: {version}\nLicense: Terms of {name}\n")
        (about / "licenses" / "License.txt").write_text(f"Terms of {name}\n")
        (about / "RECORD").write_text(f"{about.name}/METADATA,,\n{about.name}/licenses/License.txt,,\n")
    return folder


def assemble(folder, output):
    command = [os.path.join(ROOT, "scripts", "package"), "oci-cuda", "--binary", BINARY, "--cuda", str(folder), "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def bundle(engine, tmp_path_factory):
    """The image, unpacked by others' tools."""
    need("umoci")
    folder = tmp_path_factory.mktemp("image")
    got = assemble(engine, folder)
    assert got.returncode == 0, got.stdout + got.stderr
    (image,) = folder.glob("*-oci-cuda.tar")
    unpack(image, folder / "layout")
    (tag,) = subprocess.run(["umoci", "list", "--layout", folder / "layout"], capture_output=True, text=True, check=True).stdout.split()
    # The name that `hippocamp migrate` writes into command lines.
    assert json.loads((folder / "layout" / "manifest.json").read_text())[0]["RepoTags"] == [f"hippocamp-cuda:{tag}"]
    subprocess.run(["umoci", "unpack", "--image", f"{folder}/layout:{tag}", folder / "bundle"], capture_output=True, check=True)
    root = folder / "bundle" / "rootfs"
    (root / "proc").mkdir(exist_ok=True)
    return folder / "bundle"


def test_the_image_has_nvidias_libraries_and_their_terms(bundle):
    root = bundle / "rootfs"
    place = root / "usr/lib/hippocamp"
    kept = {path.name for path in place.glob("nvidia/*/lib/*")}
    assert kept == {*CUDA, *CUDNN} - {"libnvrtc.alt.so.13", "libnvblas.so.13"}
    runtime = {path.name for path in place.iterdir() if path.is_file()}
    assert runtime == {"libonnxruntime.so", "libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"}
    documents = root / "usr/share/doc/hippocamp"
    assert (documents / "nvidia-cublas" / "License.txt").read_text() == "Terms of nvidia_cublas\n"
    bill = json.loads((documents / "hippocamp.cdx.json").read_text(encoding="utf-8"))
    named = {one["name"]: one["version"] for one in bill["components"]}
    assert named["onnxruntime-gpu"] == "1.31.1" and named["nvidia-cublas"] == "13.1.0.3" and "onnxruntime" not in named
    sys.path.append(os.path.join(ROOT, ".cache", "python", "package-tests"))
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    process = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["process"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in process["env"]


def test_without_a_gpu_it_serves_on_the_cpu_and_says_what_it_lacks(bundle, tmp_path):
    models = tmp_path / "models"
    copy_models(str(models))
    shutil.copytree(models / "detection-network", models / "on-a-gpu")
    config = models / "on-a-gpu" / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^name: .*\n", "", re.sub(r"(?ms)^instance_group \[.*?^\]\n", "", text))
    config.write_text(text + "\ninstance_group [ { kind: KIND_GPU } ]\n", encoding="utf-8")
    for path in [tmp_path, *tmp_path.parents[:2]]:
        path.chmod(0o755)
    root = bundle / "rootfs"
    for path in [bundle, bundle.parent, bundle.parent.parent]:
        path.chmod(0o755)
    within = in_root(root, (models, "/models"), read_only=True, user=65532)
    with Installed("/usr/bin/hippocamp", "/models", within=within, flags=["--exit-on-error=false", "--strict-readiness=served"]) as server:
        assert_the_face_is_found(server)
        log = server.log()
    assert "library=/usr/lib/hippocamp/libonnxruntime.so" in log
    assert "no GPU was found" in log and "libcuda.so.1" in log and "--gpus all" in log
    assert "on-a-gpu" in log and "KIND_GPU but server does not support GPUs" in log


def test_a_library_that_is_missing_is_named(engine, tmp_path):
    lacking = tmp_path / "lacking"
    shutil.copytree(engine, lacking)
    os.remove(lacking / "nvidia" / "cu13" / "lib" / "libcurand.so.10")
    os.remove(lacking / "nvidia" / "cu13" / "lib" / "libcufft.so.12")
    got = assemble(lacking, tmp_path / "out")
    assert got.returncode != 0
    assert "libcurand.so.10, which libonnxruntime_providers_cuda.so is linked with" in got.stderr
    assert "libcufft.so.N, which is opened by name" in got.stderr
    shutil.rmtree(lacking / "onnxruntime")
    got = assemble(lacking, tmp_path / "out")
    assert "has no ONNX Runtime for CUDA: pip install" in got.stderr


def test_the_dockerfile_names_the_same_packages():
    with open(os.path.join(ROOT, "scripts", "fetch"), encoding="utf-8") as f:
        (pins,) = re.findall(r"^CUDA_PACKAGES = \[\n(.*?)^\]", f.read(), re.MULTILINE | re.DOTALL)
    with open(os.path.join(ROOT, "docker", "Dockerfile.cuda"), encoding="utf-8") as f:
        docker = f.read()
    assert set(re.findall(r'"(.*)"', pins)) == set(re.findall(r"[\w-]+==[\w.]+", docker))
