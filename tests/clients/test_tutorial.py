"""examples/tutorial: repositories as the tool of the TensorRT Inference Server tutorial writes them, of several shapes, served
unchanged or after `hippocamp check --fix`, and asked by the client of that time. Results are those of its three steps, run by hand."""

import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from server_process import BINARY, LIBRARY, ROOT, ServerProcess
from test_tensorflow import LIBRARY as TENSORFLOW
from test_tensorflow import PACKAGES
from v1 import ENVIRONMENT

EXAMPLE = os.path.join(ROOT, "examples", "tutorial")
CLIENT = os.path.join(ROOT, "examples", "trt_client")
ASTRONAUT = os.path.join(ROOT, "tests", "references", "images", "astronaut.png")
LIBRARIES = {"HIPPOCAMP_TENSORFLOW_LIBRARY": TENSORFLOW, "HIPPOCAMP_ONNXRUNTIME_LIBRARY": LIBRARY}
# Heights and widths.
SHAPES = [(512, 512), (320, 480), (640, 640), (96, 64)]

sys.path.insert(0, EXAMPLE)
import make  # noqa: E402

STEPS_BY_HAND = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import preprocess
import tensorflow as tf
v1, made = tf.compat.v1, {}
graph = v1.GraphDef.FromString(open(sys.argv[2], "rb").read())
settings = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
with tf.Graph().as_default():
    tf.import_graph_def(graph, name="")
    with v1.Session(config=settings) as session:
        for number, path in enumerate(sys.argv[6:]):
            raw = np.array([open(path, "rb").read()], dtype=object)
            made[number] = session.run(["process_img:0", "affine_trans_mat:0"], {"raw_image:0": raw})
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
network, last = (onnxruntime.InferenceSession(path, options) for path in sys.argv[3:5])
saved, names = {}, ["score", "category", "bbox"]
for number, (picture, matrix) in made.items():
    saved[f"{number}/picture"] = picture
    maps = dict(zip(["heatmap", "bbox_wh", "center_shift"], network.run(None, {"process_img": picture})))
    for name, array in zip(names, last.run(names, {**maps, "affine_trans_mat": matrix})):
        saved[f"{number}/{name}"] = array
np.savez(sys.argv[5], **saved)
"""

ASK = """
import sys
import numpy as np
from trt_client import client
url, protocol, target = sys.argv[1:4]
made = {}
with client.Inference(url, "detection", 1, protocol=protocol) as runner:
    for number, path in enumerate(sys.argv[4:]):
        raw = np.array([open(path, "rb").read()], dtype=bytes)
        for name, arrays in runner.run({"raw_image": raw}).items():
            (made[f"{number}/{name}"],) = arrays
np.savez(target, **made)
"""


def python(code, *arguments, path, environment=os.environ):
    """Runs Python with other packages than those of these tests."""
    settings = {key: value for key, value in environment.items() if not key.startswith("PYTEST")}
    settings |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def by_v1(code, *arguments):
    path = os.pathsep.join([CLIENT, ENVIRONMENT["PYTHONPATH"]])
    return python(code, *arguments, path=path, environment=ENVIRONMENT)


def check(*arguments, status=0):
    command = [BINARY, "check", *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **LIBRARIES}, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def make_repository(folder, height, width):
    command = [sys.executable, os.path.join(EXAMPLE, "make.py"), str(folder), f"--height={height}", f"--width={width}"]
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The repository of a shape, as it is written."""
    folder = tmp_path_factory.mktemp("made")
    there = {}

    def of(shape):
        if shape not in there:
            there[shape] = folder / "x".join(map(str, shape))
            make_repository(there[shape], *shape)
        return there[shape]

    return of


def copy_of(repository, target):
    shutil.copytree(repository, target)
    return target


def serve(folder, *flags, **named):
    return ServerProcess(folder, flags=flags, variables=LIBRARIES, timeout=120, **named)


@pytest.fixture(scope="module")
def fixed(made, tmp_path_factory):
    """A server on the repository of a shape, after `hippocamp check --fix`, with the server's usual flags."""
    folder = tmp_path_factory.mktemp("fixed")
    servers = {}

    def of(shape):
        if shape not in servers:
            copy = copy_of(made(shape), folder / "x".join(map(str, shape)))
            check("--fix", copy)
            servers[shape] = serve(copy).start()
        return servers[shape]

    yield of
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files of several sizes and kinds, landscape and portrait."""
    folder = tmp_path_factory.mktemp("pictures")
    astronaut = Image.open(ASTRONAUT).convert("RGB")
    wide, tall = folder / "wide.jpg", folder / "tall.png"
    astronaut.crop((0, 0, 512, 300)).save(wide, quality=90)
    astronaut.crop((60, 0, 301, 433)).save(tall)
    return [ASTRONAUT, str(wide), str(tall)]


@pytest.fixture(scope="module")
def by_hand(made, pictures, tmp_path_factory):
    """The three steps of a shape, run by the Python of TensorFlow and of ONNX Runtime: outputs by picture."""
    folder = tmp_path_factory.mktemp("by_hand")
    packages = os.pathsep.join([PACKAGES, os.path.join(ROOT, ".cache", "python", "onnxruntime")])
    results = {}

    def of(shape):
        if shape not in results:
            repository, target = made(shape), folder / ("x".join(map(str, shape)) + ".npz")
            files = ["preprocess/1/model.graphdef", "network/1/model.onnx", "postprocess/1/model.onnx"]
            models = [repository / f"detection-{file}" for file in files]
            python(STEPS_BY_HAND, EXAMPLE, *models, target, *pictures, path=packages)
            saved = np.load(target)
            assert saved["0/picture"].shape == (1, 3, *shape)
            names = ("score", "category", "bbox")
            results[shape] = [{name: saved[f"{n}/{name}"] for name in names} for n in range(len(pictures))]
        return results[shape]

    return of


def test_the_kept_configs_are_those_that_are_made():
    kept = os.path.join(EXAMPLE, "model_repository")
    made = make.configs(512, 512)
    assert sorted(os.listdir(kept)) == sorted(made)
    for name, text in made.items():
        with open(os.path.join(kept, name, "config.pbtxt"), encoding="utf-8") as f:
            assert f.read() == text, name


@pytest.mark.parametrize("protocol", ["gRPC", "HTTP"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_the_client_of_that_time_gets_what_the_steps_give(fixed, by_hand, pictures, tmp_path, shape, protocol):
    server, target = fixed(shape), tmp_path / "answers.npz"
    by_v1(ASK, server.grpc if protocol == "gRPC" else server.http, protocol, target, *pictures)
    answers = np.load(target)
    for number, expected in enumerate(by_hand(shape)):
        for name, array in expected.items():
            got = answers[f"{number}/{name}"]
            assert (got.shape, got.dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(got, array, err_msg=f"{name} of {pictures[number]}")


def test_the_face_is_where_it_is(by_hand):
    (first, *_) = by_hand((512, 512))
    assert first["score"][0][0] > 0.85
    # CenterFace's own box by its own preprocessing, from its reference.
    np.testing.assert_allclose(first["bbox"][0][0], [180.1, 58.0, 270.7, 175.8], atol=12)
    assert (first["score"][0][1:] < 0.4).all()


@pytest.mark.parametrize("shape", [(512, 512), (96, 64)], ids=str)
def test_only_the_flag_is_needed_where_the_network_is_no_plan(made, by_hand, pictures, tmp_path, shape):
    # The batch of the network is in its dims, the reshape drops it, and the file has it fixed.
    copy = copy_of(made(shape), tmp_path / "models")
    config = copy / "detection-network" / "config.pbtxt"
    config.write_text(config.read_text().replace("tensorrt_plan", "onnxruntime_onnx"))
    shutil.rmtree(copy / "detection" / "1")
    with serve(copy, "--cpu-fallback") as server:
        target = tmp_path / "answers.npz"
        by_v1(ASK, server.grpc, "gRPC", target, *pictures[:1])
        answers = np.load(target)
        for name, array in by_hand(shape)[0].items():
            np.testing.assert_array_equal(answers[f"0/{name}"], array)
        # Sixteen instances of each model, which share it.
        with open(f"/proc/{server.pid}/status", encoding="utf-8") as f:
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) >> 10
        assert resident < 1500, f"{resident} MiB"


def test_a_machine_without_gpus_is_told_what_to_do(made, tmp_path):
    copy = copy_of(made((96, 64)), tmp_path / "models")
    with serve(copy, "--exit-on-error=false", "--strict-readiness=false", ready=False) as server:
        log = server.log()
        while "detection-network" not in log or "READY" not in log.upper():
            log = server.log()
    assert "instance group 'detection-preprocess_0' runs on the CPU" in log, log
    assert "its engine runs on GPUs only" in log and "hippocamp check --fix" in log, log
    shown = check("--fix", "--dry-run", copy, status=2)
    for change in (
        '-platform: "tensorrt_plan"\n+platform: "onnxruntime_onnx"\n',
        "-    kind: KIND_GPU\n-    gpus: [0, 1, 2, 3]\n+    kind: KIND_CPU\n",
    ):
        assert change in shown, shown
    assert shown.count("would load with this; nothing is written") == 2
    for name, text in make.configs(96, 64).items():
        assert (copy / name / "config.pbtxt").read_text() == text, "nothing is written"
    # Without the ONNX file there is nothing to write for the network, and the rest is written all the same.
    os.remove(copy / "detection-network" / "1" / "model.onnx")
    shown = check("--fix", copy, status=2)
    assert "fix: its engine runs on GPUs only" in shown and "TensorRT was not found" in shown, shown
    assert "KIND_CPU" in (copy / "detection-postprocess" / "config.pbtxt").read_text()
    assert (copy / "detection-network" / "config.pbtxt").read_text() == make.configs(96, 64)["detection-network"]


@pytest.mark.parametrize("protocol", ["gRPC", "HTTP"])
def test_the_loop_of_2048_asynchronous_requests(fixed, pictures, tmp_path, protocol):
    server = fixed((96, 64))
    small = tmp_path / "small.jpg"
    Image.open(pictures[0]).convert("RGB").resize((96, 64)).save(small)
    before = server.metric("nv_inference_request_success", model="detection")
    code = f"import runpy, sys; sys.argv[0] = {os.path.join(CLIENT, 'samples', 'qps.py')!r}; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    url = server.grpc if protocol == "gRPC" else server.http
    printed = by_v1(code, "--url", url, "--protocol", protocol, "--loops", "1", "--image", small)
    assert re.search(r"^QPS: +\d+\nTIME/PER-IMG: +\d+\.\d{3}\(ms\)\n", printed, re.MULTILINE), printed
    assert server.metric("nv_inference_request_success", model="detection") - before == 2048
    assert server.alive()


def test_a_file_that_is_no_picture_fails_alone(fixed, pictures, tmp_path):
    server, bad = fixed((96, 64)), tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    told = by_v1(
        "import sys, numpy as np\n"
        "from trt_client import client\n"
        "runner = client.Inference(sys.argv[1], 'detection', 1)\n"
        "try:\n"
        "    runner.run({'raw_image': np.array([open(sys.argv[2], 'rb').read()], dtype=bytes)})\n"
        "    print('it was answered')\n"
        "except Exception as error:\n"
        "    print(error)\n",
        server.grpc,
        bad,
    )
    assert "detection-preprocess" in told and "Unknown image file format" in told, told
    target = tmp_path / "answers.npz"
    by_v1(ASK, server.grpc, "gRPC", target, pictures[0])
    assert np.load(target)["0/score"].shape == (1, 100)


def test_one_command_serves_it_and_draws_the_boxes(tmp_path):
    server = ServerProcess(tmp_path)
    ports = [f"--{name}-port={getattr(server, name + '_port')}" for name in ("http", "grpc", "metrics")]
    command = [os.path.join(EXAMPLE, "run"), "--once", ASTRONAUT, *ports]
    settings = {**os.environ, **LIBRARIES, "HIPPOCAMP": BINARY}
    settings.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stands in for it" in done.stdout or "the network is a plan" in done.stdout
    assert "4 models, 0 errors" in done.stdout
    drawn = Image.open(io.BytesIO((tmp_path / "faces.png").read_bytes()))
    assert drawn.size == Image.open(ASTRONAUT).size
    assert np.asarray(drawn.convert("RGB")).tolist() != np.asarray(Image.open(ASTRONAUT).convert("RGB")).tolist()
