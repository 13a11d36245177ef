"""examples/trt_client, over V1 and v2: the tutorial's two samples and its loop, against `detection`."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from server_process import ROOT, ServerProcess
from tutorial import make_tutorial_repository
from v1 import ENVIRONMENT

PACKAGE = os.path.join(ROOT, "examples", "trt_client")
PICTURES = os.path.join(ROOT, "tests", "references", "images")
SHIPPED = os.path.join(ROOT, "model_repository")
ASTRONAUT = os.path.join(PICTURES, "astronaut.png")

PROTOCOLS = ["gRPC", "HTTP", "v2", "v2-HTTP"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A server on a copy of the repository that scripts/serve serves."""
    folder = tmp_path_factory.mktemp("shipped") / "models"
    shutil.copytree(SHIPPED, folder)
    with ServerProcess(folder) as server:
        yield server


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """A server on the ensemble as the tutorial writes it, without a batch dimension."""
    folder = tmp_path_factory.mktemp("tutorial")
    make_tutorial_repository(folder)
    with ServerProcess(folder) as server:
        yield server


def url(server, protocol):
    return server.http if "HTTP" in protocol else server.grpc


def run(protocol, *command, **more):
    """What a program with the client prints. Over V1 it has the packages of that time, over v2 those of today."""
    environment = ENVIRONMENT if "v2" not in protocol else dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    path = os.pathsep.join([PACKAGE, environment.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **more,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def sample(name):
    return os.path.join(PACKAGE, "samples", name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_picture(shipped, protocol):
    printed = run(protocol, sample("one.py"), url(shipped, protocol), ASTRONAUT, protocol)
    for output in ("score", "category", "bbox", "landmark"):
        assert f"'{output}': [array([" in printed
    assert "0.908" in printed


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_pictures(shipped, protocol):
    # As the tutorial has it: the same twice, none waits for the others.
    names = ("astronaut.png", "chelsea.png", "coffee.png")
    pictures = [os.path.join(PICTURES, name) for name in names] * 3 + [ASTRONAUT]
    printed = run(
        protocol, sample("many.py"), url(shipped, protocol), *pictures, "--protocol", protocol
    )
    found = dict(re.findall(r"^(image_\d) (\S+)", printed, re.MULTILINE))
    assert sorted(found) == [f"image_{n}" for n in range(10)]
    for number, picture in enumerate(pictures):
        assert (float(found[f"image_{number}"]) > 0.5) == (picture == ASTRONAUT)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_tutorial_s_own_ensemble(tutorial, protocol):
    printed = run(protocol, sample("many.py"), url(tutorial, protocol), ASTRONAUT, "--protocol", protocol)
    assert 0.85 < float(printed.split()[1]) < 0.95


def make_small(folder):
    """The ensemble with an eighth of the sides, and in place of the network one that costs next to nothing, so that the loop
    takes seconds."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    for path in [*folder.glob("*/config.pbtxt"), *folder.glob("*/1/pipeline.toml")]:
        path.write_text(path.read_text().replace("512", "64").replace("128", "16"))
    shapes = {"heatmap": [1, 1, 16, 16], "bbox_wh": [1, 2, 16, 16], "center_shift": [1, 2, 16, 16]}
    floats = TensorProto.FLOAT
    picture = helper.make_tensor_value_info("process_img", floats, ["N", 3, 64, 64])
    # Of the pictures only their number counts.
    nodes, values, outputs = [helper.make_node("Shape", ["process_img"], ["entries"], start=0, end=1)], [], []
    for name, shape in shapes.items():
        values.append(numpy_helper.from_array(np.full(shape, 0.1, np.float32), f"{name}_one"))
        values.append(numpy_helper.from_array(np.array(shape[1:], np.int64), f"{name}_rest"))
        nodes.append(helper.make_node("Concat", ["entries", f"{name}_rest"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_one", f"{name}_shape"], [name]))
        outputs.append(helper.make_tensor_value_info(name, floats, ["N", *shape[1:]]))
    graph = helper.make_graph(nodes, "tiny", [picture], outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "detection-network" / "1" / "model.onnx"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The tutorial's ensemble, with next to no work in it."""
    folder = tmp_path_factory.mktemp("quick")
    make_tutorial_repository(folder)
    make_small(folder)
    with ServerProcess(folder) as server:
        yield server


@pytest.fixture(scope="module")
def small_picture(tmp_path_factory):
    from PIL import Image

    path = tmp_path_factory.mktemp("picture") / "small.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((64, 64)).save(path)
    return str(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_loop_of_2048_requests(quick, small_picture, protocol):
    before = quick.metric("nv_inference_request_success", model="detection")
    printed = run(
        protocol,
        sample("qps.py"),
        *("--url", url(quick, protocol), "--protocol", protocol, "--loops", "1"),
        *("--image", small_picture),
    )
    assert re.search(r"^QPS: +\d+\nTIME/PER-IMG: +\d+\.\d{3}\(ms\)\n", printed, re.MULTILINE), printed
    times = dict(re.findall(r"(\w+) ([\d.]+)", printed.splitlines()[-1]))
    assert float(times["completed_request_count"]) == 2048
    assert float(times["inference_time_ms"]) > 0
    assert quick.metric("nv_inference_request_success", model="detection") - before == 2048


EMPTY = """
import json, queue, sys
import numpy as np
from trt_client import client
url, protocol = sys.argv[1:]
told = {}
with client.Inference(url, "detection", protocol=protocol) as runner:
    try:
        runner.get_result(block=False)
    except queue.Empty:
        told["empty"] = True
    runner.async_run({"raw_image": np.array([b"no picture"], dtype=bytes)}, "bad")
    try:
        runner.get()
    except Exception as error:
        told["run"] = str(error)
try:
    client.Inference(url, "nobody", protocol=protocol)
except Exception as error:
    told["unknown"] = str(error)
try:
    client.Inference(url, "detection", protocol="v3")
except ValueError as error:
    told["protocol"] = str(error)
print(json.dumps(told))
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_fails_is_told(tutorial, protocol):
    told = json.loads(run(protocol, "-c", EMPTY, url(tutorial, protocol), protocol))
    assert told["empty"] is True
    assert "JPEG, PNG, WebP or BMP was expected" in told["run"]
    assert "nobody" in told["unknown"]
    assert told["protocol"] == "protocol was expected to be 'gRPC', 'HTTP', 'v2' or 'v2-HTTP', got 'v3'"


TEXTS = """
import json, sys
import numpy as np
from trt_client import client
url, protocol = sys.argv[1:]
told = {}
def told_by(name, call):
    try:
        told[name] = call()
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
def texts(values):
    (array,) = client.Inference(url, "any_string", protocol=protocol).run({"INPUT0": values})["OUTPUT0"]
    return [value.decode("latin-1") for value in array]
told_by("zeros", lambda: texts(np.array([b"a\\0\\0", b"\\xff\\0", b""], dtype=object)))
told_by("mixed", lambda: texts(np.array(["b", b"c"], dtype=object)))
told_by("unicode", lambda: texts(np.array(["d", "ef"])))
row = np.zeros(16, np.int32)
told_by("missing", lambda: client.Inference(url, "simple", protocol=protocol).run({"INPUT0": row}))
told_by("broken", lambda: str(client.Inference(url, "broken", protocol=protocol)))
print(json.dumps(told))
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_arrive_whole_and_no_input_is_forgotten(v1_server, protocol):
    told = json.loads(run(protocol, "-c", TEXTS, url(v1_server, protocol), protocol))
    assert told["zeros"] == ["a\0\0", "\xff\0", ""]
    assert told["mixed"] == ["b", "c"]
    assert told["unicode"] == ["d", "ef"]
    # Over V1's gRPC its library would end the process.
    assert "model 'simple'" in told["missing"] and "['INPUT1']" in told["missing"]
    assert "broken" in told["broken"] and "Inference object" not in told["broken"]
