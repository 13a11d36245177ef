"""Models that are loaded again while they are used: what an edit of a config costs, and where sequences end."""

import json
import os
import threading

import numpy as np
import pytest
from models import add_sub, sum_config, write_model
from server_process import ServerProcess
from test_sequences import ids, send, total
from test_stream import Stream
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)

ENSEMBLE = """
platform: "ensemble"
max_batch_size: 4
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
ensemble_scheduling { step [ { model_name: "inner" model_version: -1
  input_map { key: "INPUT" value: "INPUT" } output_map { key: "OUTPUT" value: "OUTPUT" } } ] }
"""


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """(server, its repository), for models that nobody else uses."""
    folder = str(tmp_path_factory.mktemp("edited"))
    with ServerProcess(folder, flags=["--model-control-mode=explicit"]) as process:
        yield process, folder
        assert process.alive(), f"the server died during the tests:\n{process.log()[-4000:]}"


@pytest.fixture(params=["http", "http.aio", "grpc", "grpc.aio"])
def edited_client(request, client_of, edited):
    return client_of(request.param, edited[0])


@pytest.fixture
def write(edited):
    """write(name, config, version): writes a model, and returns its name."""

    def model(name, config, version=1, **more):
        write_model(edited[1], name, config, version=version, **more)
        return name

    return model


def answer(client, model, *arguments):
    """The sum, and the version that made it."""
    result = send(client, model, *arguments)
    response = result.get_response()
    version = response["model_version"] if isinstance(response, dict) else response.model_version
    return int(result.as_numpy("OUTPUT")[0, 0]), version


def states(client, model):
    index = client.json("get_model_repository_index")
    models = index if isinstance(index, list) else index.get("models", [])
    return {m.get("version", ""): m.get("state", "") for m in models if m["name"] == model}


def sums(idle_us=0):
    idle = f"max_sequence_idle_microseconds: {idle_us}" if idle_us else ""
    return sum_config("sequence", f"direct {{ }} {idle}")


def test_a_sequence_ends_on_the_version_it_began_on(edited_client, write, eventually):
    client = edited_client
    model, old, new = write(f"sums_{next(ids)}", sums()), next(ids), next(ids)
    client.load_model(model)
    assert answer(client, model, 1, old, "S") == (1, "1")
    write(model, None, version=2)
    client.load_model(model)
    assert answer(client, model, 10, new, "S") == (10, "2")
    assert answer(client, model, 2, old) == (3, "1"), "with its state"
    assert answer(client, model, 20, new) == (30, "2")
    assert states(client, model) == {"1": "UNLOADING", "2": "READY"}
    assert answer(client, model, 3, old, "E") == (6, "1")
    eventually(lambda: states(client, model) == {"1": "UNAVAILABLE", "2": "READY"}, "the end of version 1")
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        send(client, model, 4, old)
    assert answer(client, model, 4, old, "S") == (4, "2")
    client.unload_model(model)


def test_the_same_version_loaded_again_is_another_one(edited_client, write):
    client = edited_client
    model, old, both = write(f"sums_{next(ids)}", sums()), next(ids), next(ids)
    client.load_model(model)
    for sequence in (old, both):
        assert total(client, model, 1, sequence, "S") == 1
    client.load_model(model)
    client.load_model(model)
    assert total(client, model, 5, both, "S") == 5, "one that begins anew"
    assert total(client, model, 1, both) == 6, "is asked for where it began last"
    assert total(client, model, 2, old) == 3, "two loads ago"
    client.unload_model(model)
    with pytest.raises(InferenceServerException, match="has no available versions"):
        send(client, model, 3, old)
    client.load_model(model)
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        send(client, model, 3, old)
    client.unload_model(model)


def test_a_version_that_is_asked_for_by_number(edited_client, write, eventually):
    client = edited_client
    model, old = write(f"sums_{next(ids)}", sums()), next(ids)
    client.load_model(model)

    def add(value, flags=""):
        inputs = [client.input("INPUT", np.array([[value]], np.int32), "INT32")]
        flags = {"sequence_start": "S" in flags, "sequence_end": "E" in flags}
        result = client.infer(model, inputs, model_version="1", sequence_id=old, **flags)
        return int(result.as_numpy("OUTPUT")[0, 0])

    assert add(1, "S") == 1
    write(model, None, version=2)
    client.load_model(model)
    assert add(2) == 3
    with pytest.raises(InferenceServerException, match="version 1 is not at ready state"):
        add(1, "S")
    assert add(3, "E") == 6
    eventually(lambda: states(client, model)["1"] == "UNAVAILABLE", "the end of version 1")
    with pytest.raises(InferenceServerException, match="version 1 is not at ready state"):
        add(3)
    client.unload_model(model)


def test_an_idle_sequence_does_not_keep_its_version(edited, client_of, write, eventually):
    client = client_of("grpc", edited[0])
    model = write(f"sums_{next(ids)}", sums(idle_us=200_000))
    client.load_model(model)
    send(client, model, 1, next(ids), "S")
    write(model, None, version=2)
    client.load_model(model)
    eventually(lambda: states(client, model) == {"1": "UNAVAILABLE", "2": "READY"}, "the end of version 1")


@pytest.mark.parametrize("model", ["inner", "outer"])
def test_over_a_stream_and_through_an_ensemble(edited, client_of, write, eventually, model):
    client = client_of("grpc", edited[0])
    write("inner", sums())
    os.makedirs(os.path.join(edited[1], "outer"), exist_ok=True)
    write("outer", ENSEMBLE)
    client.load_model("outer")
    stream = Stream(client_of("grpc", edited[0]))
    old, new = next(ids), next(ids)

    def add(value, sequence, flags=""):
        inputs = [client.input("INPUT", np.array([[value]], np.int32), "INT32")]
        flags = {"sequence_start": "S" in flags, "sequence_end": "E" in flags}
        stream.send(model, inputs, sequence_id=sequence, **flags)
        ((result, error),) = stream.answers(1)
        assert error is None, error
        return int(result.as_numpy("OUTPUT")[0, 0])

    assert add(1, old, "S") == 1
    client.load_model("inner")
    assert add(10, new, "S") == 10
    assert add(2, old) == 3
    assert add(20, new) == 30
    client.load_model("inner")
    assert add(3, old, "E") == 6
    assert add(30, new, "E") == 60
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        send(client, model, 4, old)
    assert stream.no_more()
    # Returns only when all are gone that held on to it.
    client.unload_model("inner")
    assert states(client, "inner") == {"1": "UNAVAILABLE"}


def test_no_sequence_is_hurt_by_loads(edited, client_of, write):
    server, _ = edited
    model = write(f"sums_{next(ids)}", sum_config("sequence", "direct { }", instances=2))
    admin = client_of("grpc", server)
    admin.load_model(model)
    stop = threading.Event()
    # Of each client: how many sequences went well, and on how many versions.
    outcomes = []

    def sequences(client):
        done, versions = 0, set()
        while not stop.is_set() or done == 0:
            sequence, seen = next(ids), set()
            for step in range(1, 9):
                flags = {1: "S", 8: "E"}.get(step, "")
                value, version = answer(client, model, step, sequence, flags)
                assert value == step * (step + 1) // 2
                seen.add(version)
            assert len(seen) == 1, "a sequence stays where it began"
            done, versions = done + 1, versions | seen
        outcomes.append((done, versions))

    clients = [threading.Thread(target=sequences, args=(client_of("grpc", server),)) for _ in range(4)]
    for thread in clients:
        thread.start()
    for version in range(2, 12):
        write(model, None, version=version)
        admin.load_model(model)
        admin.load_model(model)
    stop.set()
    for thread in clients:
        thread.join(timeout=60)
    assert len(outcomes) == 4, "a client failed, see its traceback"
    assert len(set().union(*(versions for _, versions in outcomes))) > 1
    admin.unload_model(model)


def test_settings_of_an_onnx_model_change_without_a_load(edited, client_of, write, eventually):
    server, _ = edited
    client = client_of("grpc", server)
    base = 'backend: "onnxruntime" max_batch_size: 8'

    def count():
        stats = client.json("get_inference_statistics", "adding")["model_stats"][0]
        return int(stats["inference_stats"]["success"]["count"])

    def add():
        inputs = [client.input("INPUT0", A, "INT32"), client.input("INPUT1", A, "INT32")]
        assert client.infer("adding", inputs).as_numpy("OUTPUT0").tolist() == (A + A).tolist()

    write("adding", base, onnx_file=add_sub())
    client.load_model("adding")
    add()
    edits = [
        "instance_group { count: 3 kind: KIND_CPU }",
        (two := "instance_group { count: 2 kind: KIND_CPU } dynamic_batching { max_queue_delay_microseconds: 50 }"),
        f"{two} version_policy {{ all {{ }} }}",
        "",
    ]
    for number, edit in enumerate(edits):
        write("adding", f"{base} {edit}")
        client.load_model("adding")
        add()
        assert count() == number + 2, "it goes on counting"
    log = server.log()
    assert log.count("goes on with its instances") == 3
    # The third edit is one for the server alone.
    assert log.count("goes on as it is") == 1
    client.load_model("adding", config=json.dumps({"backend": "onnxruntime", "max_batch_size": 4}))
    add()
    assert count() == 1, "that one is another model"
