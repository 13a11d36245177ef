"""What a client can make the server read: nothing outside of a model's folder, whatever a load request says.

The kernel tells of each file that is opened in a folder beside the repository (inotify); none may be.
"""

import base64
import ctypes
import json
import os
import struct

import http.client
import numpy as np
import onnx
import pytest
from models import onnx_bytes
from onnx import TensorProto, helper
from server_process import ServerProcess

IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0o4000


class Watch:
    """Tells whether something in a folder was opened or read."""

    def __init__(self, folder):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.number = self.libc.inotify_init1(IN_NONBLOCK)
        assert self.libc.inotify_add_watch(self.number, str(folder).encode(), IN_ACCESS | IN_OPEN) >= 0

    def names(self):
        """The names of what was opened since the last call."""
        found = set()
        while True:
            try:
                events = os.read(self.number, 65536)
            except BlockingIOError:
                return found
            while events:
                length = struct.unpack_from("iIII", events)[3]
                found.add(events[16 : 16 + length].rstrip(b"\0").decode())
                events = events[16 + length :]


def network(weights=None):
    """OUTPUT = INPUT + weights, where the weights may be in another file."""
    shape = [4]
    constant = helper.make_tensor("weights", TensorProto.FLOAT, shape, np.ones(4, np.float32).tobytes(), raw=True)
    if weights is not None:
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        constant.external_data.add(key="location", value=weights)
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("INPUT", "OUTPUT")]
    node = helper.make_node("Add", ["INPUT", "weights"], ["OUTPUT"])
    graph = helper.make_graph([node], "add", rows[:1], rows[1:], [constant])
    if weights is None:
        return onnx_bytes(graph)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


CONFIG = {
    "backend": "onnxruntime",
    "input": [{"name": "INPUT", "data_type": "TYPE_FP32", "dims": [4]}],
    "output": [{"name": "OUTPUT", "data_type": "TYPE_FP32", "dims": [4]}],
}


def config(**fields):
    return {**CONFIG, **fields}


def output(**fields):
    return config(output=[{**CONFIG["output"][0], **fields}])


def warmup(path):
    data = {"data_type": "TYPE_FP32", "dims": [4], "input_data_file": path}
    return config(model_warmup=[{"name": "w", "batch_size": 1, "inputs": {"INPUT": data}}])


def state(path):
    initial = {"name": "i", "data_type": "TYPE_FP32", "dims": [4], "data_file": path}
    states = [{"input_name": "S", "output_name": "T", "data_type": "TYPE_FP32", "dims": [4], "initial_state": [initial]}]
    return config(sequence_batching={"state": states})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A repository with a model whose version lies elsewhere, and a folder of secrets beside both."""
    root = tmp_path_factory.mktemp("reads")
    secrets = root / "secrets"
    (secrets / "1").mkdir(parents=True)
    for name in ("secret", "secret.onnx", "1/model.onnx", "config.pbtxt", "labels.txt"):
        (secrets / name).write_bytes(network() if name.endswith("onnx") else b"\0" * 16)
    model = root / "repository" / "m"
    model.mkdir(parents=True)
    # As deployments do: a version is a link to where the file was downloaded.
    (secrets / "download").mkdir()
    (secrets / "download" / "model.onnx").write_bytes(network())
    (model / "1").symlink_to(secrets / "download")
    for folder in ("initial_state", "warmup"):
        (model / folder).symlink_to(secrets / "download")
    return root, secrets


@pytest.fixture(scope="module")
def server(folders):
    root, _ = folders
    with ServerProcess(root / "repository", flags=["--model-control-mode=explicit", "--load-model=m"]) as process:
        yield process


def load(server, name, given=None, files=None):
    """Status and text of a load."""
    parameters = {f"file:{path}": base64.b64encode(content).decode() for path, content in (files or {}).items()}
    if given is not None:
        parameters["config"] = json.dumps(given)
    link = http.client.HTTPConnection(server.http, timeout=30)
    link.request("POST", f"/v2/repository/models/{name}/load", json.dumps({"parameters": parameters}))
    reply = link.getresponse()
    text = reply.read().decode()
    link.close()
    return reply.status, text


def outside(secrets):
    """Paths to the secret, from a model's folder and folders in it, and by way of its links."""
    up = os.path.relpath(secrets / "secret", secrets.parent / "repository" / "m")
    return [
        str(secrets / "secret"),
        up,
        f"../{up}",
        f"./x/../../{up}",
        "../1/../secret",
        "1/../secret",
        "../secret",
        "../../secret",
        "x/../../1/../secret",
        "\0",
        f"{secrets}/secret\0.txt",
    ]


KINDS = {
    "label_filename": lambda path: output(label_filename=path),
    "default_model_filename": lambda path: config(default_model_filename=path),
    "cc_model_filenames": lambda path: config(cc_model_filenames={"7.5": path}),
    "warmup": warmup,
    "initial_state": state,
    "operators": lambda path: config(model_operations={"op_library_filename": [path]}),
    "backend": lambda path: config(backend=path),
    "runtime": lambda path: config(runtime=path),
    "agent": lambda path: config(
        model_repository_agents={"agents": [{"name": "checksum", "parameters": {f"MD5:{path}": "0" * 32}}]}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_that_comes_with_a_load_leads_nowhere(server, folders, kind):
    _, secrets = folders
    watch = Watch(secrets)
    for path in outside(secrets):
        status, text = load(server, "m", KINDS[kind](path))
        # What no device asks for has no effect.
        assert status >= 400 or kind == "cc_model_filenames", (path, text)
        assert watch.names() - {"download"} == set(), (path, text)
    assert load(server, "m")[0] == 200 and server.alive()


def test_names_of_models_lead_nowhere(server, folders):
    _, secrets = folders
    watch = Watch(secrets)
    for name in ("..%2f..%2fsecrets", "%2e%2e%2fsecrets", "..", "m%2f..%2f..%2fsecrets", "%2fetc", "m%00", "m%2f1"):
        status, text = load(server, name)
        assert status >= 400, (name, text)
        status, text = load(server, name, config(), {"1/model.onnx": network()})
        assert status >= 400, (name, text)
    assert watch.names() == set()


def test_override_files_are_written_into_their_folder_only(server, folders):
    _, secrets = folders
    watch = Watch(secrets)
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    watch.names()
    for path in (*outside(secrets), "", ".", "1/", "1/model.onnx/x/../../../../x"):
        status, text = load(server, "overridden", config(), {"1/model.onnx": network(), path: b"x"})
        assert status != 200 or path in ("1/", "."), (path, text)
        assert watch.names() == set(), path
    assert before == {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}


def test_a_model_file_that_comes_with_a_load_reads_no_other_file(server, folders):
    """The weights of an ONNX file may lie in another one, which the engine opens."""
    _, secrets = folders
    watch = Watch(secrets)
    for path in (str(secrets / "secret"), "../" * 12 + str(secrets / "secret")[1:], "/proc/self/environ", f"file://{secrets}/secret"):
        files = {"1/model.onnx": network(path)}
        status, text = load(server, "weights", config(), files)
        assert status >= 400, (path, text)
        assert watch.names() == set(), path
    files = {"1/model.onnx": network("weights.bin"), "1/weights.bin": np.ones(4, np.float32).tobytes()}
    assert load(server, "weights", config(), files)[0] == 200, "one beside it may be read"


def test_what_a_policy_asks_for_is_looked_for_once(server):
    """Versions of a policy are chosen among those that are there; none is looked for by its name."""
    policy = {"specific": {"versions": [2**63 - 1 - number for number in range(10_000)]}}
    status, text = load(server, "m", config(version_policy=policy))
    assert status >= 400, text
    assert load(server, "m")[0] == 200
