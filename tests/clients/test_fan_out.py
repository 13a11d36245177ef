"""Steps of ensembles that run once for each row of a tensor, in the built server, over HTTP and gRPC."""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from models import write_model
from server_process import BINARY, ServerProcess
from tritonclient.utils import InferenceServerException

IDENTITY = """
backend: "identity"
max_batch_size: {batch}
input [ {{ name: "INPUT0" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
output [ {{ name: "OUTPUT0" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
dynamic_batching {{ max_queue_delay_microseconds: 3000 }}
"""
# Executes six rows, or none: nobody waits for so long.
SIXES = IDENTITY.replace("max_queue_delay_microseconds: 3000", "preferred_batch_size: 6 max_queue_delay_microseconds: 3600000000")

ENSEMBLE = """
platform: "ensemble"
input [ {{ name: "IN" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
output [ {{ name: "OUT" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
parameters {{ key: "fan_out.{model}" value {{ string_value: "IN" }} }}
{more}
ensemble_scheduling {{
  step [ {{ model_name: "{model}" model_version: -1
            input_map {{ key: "{into}" value: "IN" }} output_map {{ key: "{out}" value: "OUT" }} }} ]
}}
"""


def ensemble(model, kind, dims, more="", into="INPUT0", out="OUTPUT0"):
    return ENSEMBLE.format(model=model, kind=kind, dims=dims, more=more, into=into, out=out)


@pytest.fixture(scope="module")
def fan_server(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("fan"))
    write_model(folder, "pair", IDENTITY.format(batch=8, kind="FP32", dims="2"))
    write_model(folder, "text", IDENTITY.format(batch=8, kind="STRING", dims="1"))
    write_model(folder, "pairs", ensemble("pair", "FP32", "-1, 2", 'parameters { key: "fan_out.pair.max_items" value { string_value: "100" } }'))
    write_model(folder, "six", SIXES.format(batch=6, kind="FP32", dims="2"))
    write_model(folder, "sixes", ensemble("six", "FP32", "-1, 2"))
    write_model(folder, "texts", ensemble("text", "STRING", "-1, 1"))
    # Each of its rows is a request to an ensemble that fans out, too.
    write_model(folder, "nested", ensemble("pairs", "FP32", "-1, -1, 2", into="IN", out="OUT"))
    with ServerProcess(folder) as process:
        yield process
        assert process.alive(), process.log()[-4000:]


@pytest.fixture(params=["http", "grpc"])
def fan(request, client_of, fan_server):
    return client_of(request.param, fan_server)


def ask(client, model, array, kind):
    return client.infer(model, [client.input("IN", array, kind)]).as_numpy("OUT")


def counts(client, model):
    (entry,) = client.json("get_inference_statistics", model)["model_stats"]
    return int(entry.get("inference_count", 0)), int(entry.get("execution_count", 0))


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
def test_gathers_what_rows_give_in_their_order(fan, rows):
    array = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    before = counts(fan, "pair")
    got = ask(fan, "pairs", array, "FP32")
    assert got.shape == array.shape and (got == array).all()
    after = counts(fan, "pair")
    assert after[0] - before[0] == rows
    assert after[1] - before[1] <= rows


def test_rows_of_texts(fan):
    array = np.array([[b"one"], [b""], ["\u6587".encode()]], dtype=object)
    assert (ask(fan, "texts", array, "BYTES") == array).all()
    assert ask(fan, "texts", array[:0], "BYTES").size == 0


def test_rows_of_rows(fan):
    array = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    assert (ask(fan, "nested", array, "FP32") == array).all()


def test_too_many_rows_are_refused(fan):
    with pytest.raises(InferenceServerException, match=r"fan-out over 'IN': expected at most 100 items .* got 101"):
        ask(fan, "pairs", np.zeros((101, 2), np.float32), "FP32")
    # An item of the outer fan-out is named.
    with pytest.raises(InferenceServerException, match="item 1 of 2 of 'IN' .model 'pairs'.*expected at most 100 items"):
        ask(fan, "nested", np.zeros((2, 101, 2), np.float32), "FP32")


def test_rows_of_many_requests_share_batches(client_of, fan_server):
    together = threading.Barrier(8, timeout=60)

    def work(worker):
        client = client_of("grpc", fan_server)
        for n in range(20):
            array = np.full((3, 2), worker * 100 + n, np.float32) + np.arange(3, dtype=np.float32)[:, None]
            together.wait()
            reply = client.infer("sixes", [client.input("IN", array, "FP32")], client_timeout=60)
            assert (reply.as_numpy("OUT") == array).all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    # A request has three rows: the six of a batch come of several requests, or nothing would be executed.
    requests = 8 * 20 * 3
    assert counts(client_of("http", fan_server), "six") == (requests, requests // 6)


def test_what_cannot_be_fanned_out_is_refused_by_name(tmp_path):
    folder = str(tmp_path)
    write_model(
        folder,
        "streams",
        """backend: "repeat"
        input [ { name: "IN" data_type: TYPE_INT32 dims: [ -1 ] }, { name: "DELAY" data_type: TYPE_UINT32 dims: [ -1 ] optional: true },
                { name: "WAIT" data_type: TYPE_UINT32 dims: [ 1 ] optional: true } ]
        output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] }, { name: "IDX" data_type: TYPE_UINT32 dims: [ 1 ] } ]
        model_transaction_policy { decoupled: true }""",
    )
    write_model(folder, "pair", IDENTITY.format(batch=8, kind="FP32", dims="2"))
    write_model(folder, "a", ensemble("streams", "INT32", "-1, -1", into="IN", out="OUT"))
    threes, twos = ("name: \"OUT\" data_type: TYPE_FP32 dims: [ -1, 3 ]", "name: \"OUT\" data_type: TYPE_FP32 dims: [ -1, 2 ]")
    write_model(folder, "b", ensemble("pair", "FP32", "-1, 3").replace(threes, twos))
    write_model(folder, "c", ensemble("pair", "FP32", "-1, 2").replace('"fan_out.pair"', '"fan_out.pear"'))
    write_model(folder, "d", ensemble("pair", "FP32", "-1, 2").replace('string_value: "IN"', 'string_value: "ON"'))
    check = subprocess.run([BINARY, "check", folder], capture_output=True, text=True, timeout=60, check=False)
    said = check.stdout + check.stderr
    assert check.returncode != 0, said
    for text in (
        "the step of model 'streams' cannot be fanned out over 'IN': it is decoupled",
        "fan-out of the step of model 'pair' over 'IN': input 'INPUT0' takes [2], which are not the rows of a tensor of [-1,3]",
        "where MODEL is one of pair",
        "the step of model 'pair' reads no ensemble tensor 'ON', it reads IN",
    ):
        assert text in said, said
    # With the line of the parameter, also where nothing is loaded.
    assert f"{os.path.join(folder, 'b', 'config.pbtxt')}:5:" in said, said
    check = subprocess.run([BINARY, "check", "--configs-only", folder], capture_output=True, text=True, timeout=60, check=False)
    said = check.stdout + check.stderr
    assert f"{os.path.join(folder, 'd', 'config.pbtxt')}:5:" in said and "reads no ensemble tensor 'ON'" in said, said
