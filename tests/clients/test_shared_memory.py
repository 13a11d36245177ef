"""System shared memory by tritonclient's own helpers, and clients that mean harm with it."""

import json
import mmap
import os
import platform
import threading

import numpy as np
import perf_analyzer
import pytest
from models import ONNX_TYPES, onnx_identity, write_model
from server_process import ServerProcess
from tritonclient.utils import InferenceServerException, shared_memory

COUNT = 1 << 18
SIZE = COUNT * 4
MIB = 1024  # KiB
IDENTITY = """
backend: "{backend}"
max_batch_size: {batch}
input {{ name: "{input}" data_type: TYPE_FP32 dims: [ -1 ] }}
output {{ name: "{output}" data_type: TYPE_FP32 dims: [ -1 ] }}
instance_group {{ count: 1 kind: KIND_CPU }}
{more}
"""
DELAY = 'parameters { key: "execute_delay_ms" value { string_value: "500" } }'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Clients may register. Models: identity, the same but slow, or cached, and in batches of ONNX Runtime."""
    folder = tmp_path_factory.mktemp("models")
    own = {"backend": "identity", "batch": 0, "input": "INPUT0", "output": "OUTPUT0"}
    write_model(folder, "identity", IDENTITY.format(**own, more=""), None)
    write_model(folder, "slow", IDENTITY.format(**own, more=DELAY), None)
    kept = "response_cache { enable: true }" + DELAY.replace("500", "1000")
    write_model(folder, "kept", IDENTITY.format(**own, more=kept), None)
    onnx = {"backend": "onnxruntime", "batch": 8, "input": "INPUT", "output": "OUTPUT"}
    batching = "dynamic_batching { max_queue_delay_microseconds: 200000 preferred_batch_size: 2 }"
    config = IDENTITY.format(**onnx, more=batching)
    write_model(folder, "onnx", config, onnx_identity(ONNX_TYPES["FP32"]))
    flags = ["--allow-client-shm=true", "--cache-config=local,size=16777216"]
    with ServerProcess(folder, flags=flags) as process:
        yield process
        assert process.alive(), f"the server died during the tests:\n{process.log()[-4000:]}"


@pytest.fixture
def client(request, server, client_of):
    return client_of(getattr(request, "param", "grpc"), server)


every_client = pytest.mark.parametrize(
    "client", ["http", "http.aio", "grpc", "grpc.aio"], indirect=True
)


class Region:
    """An object of tritonclient's, registered under its name."""

    def __init__(self, client, name, size=SIZE, content=None):
        self.client, self.name, self.size = client, name, size
        self.key = f"/hippocamp_{os.getpid()}_{name}"
        self.handle = shared_memory.create_shared_memory_region(name, self.key, size)
        if content is not None:
            shared_memory.set_shared_memory_region(self.handle, [content])
        client.register_system_shared_memory(name, self.key, size)

    @property
    def path(self):
        return f"/dev/shm{self.key}"

    def array(self, count=COUNT):
        return shared_memory.get_contents_as_numpy(self.handle, np.float32, [count])


@pytest.fixture
def region(client):
    """region(name, ...): a registered region that goes with the test."""
    made = []

    def make(name, **options):
        made.append(Region(client, name, **options))
        return made[-1]

    yield make
    client.unregister_system_shared_memory()
    for one in made:
        shared_memory.destroy_shared_memory_region(one.handle)


def tensors(client, source=None, target=None, names=("INPUT0", "OUTPUT0"), shape=(COUNT,)):
    size = int(np.prod(shape)) * 4
    given = client.module.InferInput(names[0], list(shape), "FP32")
    if source:
        given.set_shared_memory(source, size)
    else:
        given.set_data_from_numpy(np.ones(shape, np.float32))
    wanted = client.module.InferRequestedOutput(names[1])
    if target:
        wanted.set_shared_memory(target, size)
    return {"inputs": [given], "outputs": [wanted]}


def content(seed):
    return np.random.default_rng(seed).random(COUNT, np.float32)


@every_client
@pytest.mark.parametrize("model", ["identity", "onnx"])
def test_a_tensor_goes_in_and_out(client, region, model):
    sent = content(1)
    region("in", content=sent)
    target = region("out")
    names, shape = {
        "identity": (("INPUT0", "OUTPUT0"), (COUNT,)),
        "onnx": (("INPUT", "OUTPUT"), (1, COUNT)),
    }[model]
    reply = client.infer(model, **tensors(client, "in", "out", names, shape))
    assert reply.get_output(names[1]) is not None
    assert (target.array() == sent).all()
    reply = client.infer(model, **tensors(client, "in", None, names, shape))
    assert (reply.as_numpy(names[1]).reshape(-1) == sent).all()
    client.infer(model, **tensors(client, None, "out", names, shape))
    assert (target.array() == 1).all()


@every_client
def test_status_and_unregister(client, region):
    first, second = region("a"), region("b", size=64)
    status = client.json("get_system_shared_memory_status")
    listed = status["regions"].values() if client.protocol == "grpc" else status
    found = {(r["name"], r["key"], int(r["byte_size"])) for r in listed}
    assert found == {("a", first.key, SIZE), ("b", second.key, 64)}
    client.unregister_system_shared_memory("a")
    unknown = "Unable to find system shared memory region: 'a'"
    with pytest.raises(InferenceServerException, match=unknown):
        client.get_system_shared_memory_status("a")
    with pytest.raises(InferenceServerException, match="'b' already in manager"):
        client.register_system_shared_memory("b", second.key, 64)
    client.unregister_system_shared_memory()
    with pytest.raises(InferenceServerException, match="Unable to find shared memory region: 'b'"):
        client.infer("identity", **tensors(client, "b", shape=(16,)))
    client.get_cuda_shared_memory_status()
    client.unregister_cuda_shared_memory()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="perf_analyzer is for x86_64 only")
@pytest.mark.parametrize("version", ["2.34.0", "2.40.0"])
@pytest.mark.parametrize("protocol, mode", [("http", "sync"), ("grpc", "sync"), ("grpc", "async")])
def test_perf_analyzer(server, tmp_path, version, protocol, mode):
    options = ["-i", protocol, f"--{mode}", "--shared-memory=system", "--shape", f"INPUT0:{COUNT}"]
    options += ["--output-shared-memory-size", str(SIZE), "--concurrency-range", "1:4:3"]
    options += ["-p", "100", "-s", "1000"]
    address = getattr(server, protocol)
    rows = perf_analyzer.analyze(version, "identity", address, options, tmp_path)
    assert sorted(row["Concurrency"] for row in rows) == ["1", "4"]
    assert all(float(row["Inferences/Second"]) > 0 for row in rows)


# ------------------------------------------------------------------------------ hostile clients


@pytest.fixture
def unharmed(server, client):
    """What runs in between must leave the server serving, with its memory as it was."""
    client.infer("identity", **tensors(client))
    server.reset_peak()
    resident = server.status_kib("VmRSS")
    yield
    assert server.alive(), server.log()[-4000:]
    client.infer("identity", **tensors(client))
    assert server.status_kib("VmHWM") - resident < 100 * MIB


def start(server, client_of, model, **request):
    """A request in the background: [its error or None] once the thread is joined."""
    outcome = []

    def run():
        try:
            client_of("grpc", server).infer(model, **request)
            outcome.append(None)
        except InferenceServerException as e:
            outcome.append(e.message())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


@pytest.mark.parametrize("side", ["in", "out"])
@pytest.mark.parametrize("size", [0, 1, 4096, SIZE // 2])
def test_an_object_that_is_truncated_while_a_request_runs(
    server, client, client_of, region, unharmed, side, size
):
    cut = region("cut", content=content(2))
    request = tensors(client, **{"source" if side == "in" else "target": "cut"})
    thread, outcome = start(server, client_of, "slow", **request)
    os.truncate(cut.path, size)
    thread.join()
    assert outcome[0] is not None and "region 'cut' is gone" in outcome[0], outcome
    with pytest.raises(InferenceServerException, match="unregister the region"):
        client.infer("identity", **request)
    os.truncate(cut.path, SIZE)


def test_what_is_cached_is_what_was_looked_up(server, client, client_of, region, unharmed, eventually):
    before, after = content(5), content(6)
    moving = region("moving", content=before)
    # Once both are queued both were looked up, and neither is answered: the model takes a second.
    queued = "nv_inference_queue_depth_histogram_count"
    threads = [
        start(server, client_of, "kept", **request)
        for request in (tensors(client), tensors(client, "moving"))
    ]
    eventually(lambda: server.metric(queued, model="kept") == 2, "two queued requests")
    shared_memory.set_shared_memory_region(moving.handle, [after])
    for thread, outcome in threads:
        thread.join()
        assert outcome == [None]

    def answer(sent):
        request = tensors(client)
        request["inputs"][0].set_data_from_numpy(sent)
        return client.infer("kept", **request).as_numpy("OUTPUT0")

    assert (answer(before) == before).all(), "others get what they asked for"
    assert (answer(after) == after).all()


def test_others_of_its_batch_are_answered(server, client, client_of, region, unharmed):
    names = ("INPUT", "OUTPUT")
    cut, whole = region("cut", content=content(3)), region("whole", content=content(4))
    os.truncate(cut.path, 0)
    good = tensors(client, "whole", "whole", names, (1, COUNT))
    bad = tensors(client, "cut", "whole", names, (1, COUNT))
    bad["outputs"] = tensors(client, None, None, names)["outputs"]
    threads = [start(server, client_of, "onnx", **r) for r in (bad, good)]
    for thread, _ in threads:
        thread.join()
    (_, failed), (_, answered) = threads
    assert "region 'cut' is gone" in failed[0] and answered == [None]
    assert (whole.array() == content(4)).all()
    os.truncate(cut.path, SIZE)


def test_an_object_that_is_unlinked_is_kept(server, client, client_of, region, unharmed):
    sent = content(5)
    unlinked, target = region("unlinked", content=sent), region("out")
    thread, outcome = start(server, client_of, "slow", **tensors(client, "unlinked", "out"))
    os.unlink(unlinked.path)
    thread.join()
    assert outcome == [None] and (target.array() == sent).all()
    open(unlinked.path, "w").close()  # for the helper, which wants to remove it


@pytest.mark.parametrize("client", ["http", "grpc"], indirect=True)
@pytest.mark.parametrize(
    "offset, size",
    [
        (2**64 - 1, 4),
        (2**64 - 4, 4),
        (2**63, 4),
        (SIZE, 4),
        (SIZE - 2, 4),
        (0, 2**63),
        (4, 2**64 - 4),
    ],
)
def test_places_outside_of_a_region(server, client, region, unharmed, offset, size):
    region("r")
    if client.protocol == "grpc":
        # The protocol has signed numbers; these are the same bits.
        offset, size = (np.array([offset, size], np.uint64).view(np.int64)).tolist()
    for side in ("source", "target"):
        request = tensors(client, shape=(1,), **{side: "r"})
        request["inputs" if side == "source" else "outputs"][0].set_shared_memory("r", size, offset)
        invalid = "Invalid offset.* for shared memory region: 'r'"
        with pytest.raises(InferenceServerException, match=invalid):
            client.infer("identity", **request)


@pytest.mark.parametrize("client", ["http", "grpc"], indirect=True)
@pytest.mark.parametrize(
    "offset, size", [(0, 2**64 - 1), (2**64 - 1, 1), (2**63, 2**63), (1, SIZE), (SIZE, 1)]
)
def test_regions_outside_of_their_object(server, client, region, unharmed, offset, size):
    made = region("r")
    with pytest.raises(InferenceServerException, match="'x': invalid args"):
        client.register_system_shared_memory("x", made.key, size, offset)


def make_link(path):
    os.symlink("/etc/passwd", path)


@pytest.mark.parametrize(
    "make, remove", [(os.mkfifo, os.unlink), (os.mkdir, os.rmdir), (make_link, os.unlink)]
)
def test_what_is_no_plain_object(server, client, unharmed, make, remove):
    key = f"/hippocamp_{os.getpid()}_odd"
    make(f"/dev/shm{key}")
    try:
        with pytest.raises(InferenceServerException, match="shared memory region: '/hippocamp"):
            client.register_system_shared_memory("x", key, 1)
    finally:
        remove(f"/dev/shm{key}")


@pytest.mark.parametrize(
    "key", ["", "/", "..", "/..", "/../etc/passwd", "../../etc/passwd", "/a/b", "x" * 5000]
)
def test_keys_that_lead_elsewhere(server, client, unharmed, key):
    with pytest.raises(InferenceServerException, match="Unable to open shared memory region"):
        client.register_system_shared_memory("x", key, 1)


def test_objects_of_the_servers_own_helpers(server, client, unharmed):
    with pytest.raises(InferenceServerException, match="contains the reserved prefix"):
        client.register_system_shared_memory("x", "/triton_python_backend_shm_region_1", 1)


def test_an_object_that_claims_to_be_huge(server, client, unharmed):
    key = f"/hippocamp_{os.getpid()}_huge"
    with open(f"/dev/shm{key}", "wb+") as f:
        os.ftruncate(f.fileno(), 1 << 42)
        try:
            client.register_system_shared_memory("huge", key, 1 << 42)
            sparse = mmap.mmap(f.fileno(), 4)
            sparse[:4] = np.float32(7).tobytes()
            reply = client.infer("identity", **tensors(client, "huge", shape=(1,)))
            assert reply.as_numpy("OUTPUT0").tolist() == [7]
            with pytest.raises(InferenceServerException, match="2147483647 bytes at most"):
                client.infer("identity", **tensors(client, "huge", shape=(1 << 29,)))
            sparse.close()
        finally:
            client.unregister_system_shared_memory("huge")
            os.unlink(f.name)


def test_off_unless_it_is_allowed(tmp_path, client_of):
    disabled = "Client shared memory is disabled"
    with ServerProcess(tmp_path) as server:
        for kind in ("http", "grpc"):
            client = client_of(kind, server)
            with pytest.raises(InferenceServerException, match=disabled):
                client.register_system_shared_memory("x", "/x", 1)
            with pytest.raises(InferenceServerException, match=disabled):
                client.unregister_system_shared_memory()
            assert not json.loads(server.get("/v2/systemsharedmemory/status")[1])
