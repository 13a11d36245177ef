"""Models that are loaded when a request asks for them, and go when the budget is used up."""

import os
import random
import threading
import time

import numpy as np
import pytest
from live import CONFIG, Folder, adds, chain
from models import sum_config, write_model
from server_process import ServerProcess
from test_sequences import send, total
from test_stream import Stream
from tritonclient.utils import InferenceServerException

X = np.zeros(1, np.int32)
MODELS = [f"m{number}" for number in range(30)]
ONE = CONFIG + "instance_group [ { count: 1 kind: KIND_CPU } ]"
# All adds() files take the same.
SIZE = len(adds(1))
BUDGET = 3 * SIZE + SIZE // 2


def expected(model):
    return {"e1": 1, "outer": 1}.get(model, int(model[1:]) if model[1:].isdigit() else None)


@pytest.fixture
def folder(tmp_path):
    """m0 to m29, of which each adds its number; `e1` and `outer`, which are made of m1; and `broken`."""
    folder = Folder(tmp_path)
    for number, model in enumerate(MODELS):
        folder.add(model, {1: adds(number)}, ONE)
    folder.add("e1", {}, chain("m1"))
    folder.add("outer", {}, chain("e1"))
    folder.add("broken", {1: b"no model"}, ONE)
    return folder


@pytest.fixture
def serve(client_of):
    """serve(repository, *flags): a server whose models stand by, and a client of it."""
    servers = []

    def start(repository, *flags, kind="http"):
        flags = ["--lazy-load", *flags]
        server = ServerProcess(repository, flags=flags)
        servers.append(server)
        server.start()
        return server, client_of(kind, server)

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()


def inputs(client):
    return [client.input("x", X, "INT32")]


def answer(client, model, **options):
    return int(client.infer(model, inputs(client), **options).as_numpy("y")[0])


def loaded(client):
    """The models that serve, not only stand by."""
    index = client.json("get_model_repository_index")
    models = index if isinstance(index, list) else index.get("models", [])
    return {m["name"] for m in models if m.get("state") == "READY" and not m.get("reason")}


def within(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def in_threads(*calls):
    """Runs each in a thread of its own; the first error of any of them is raised."""
    errors = []

    def run(call):
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_many_more_models_than_fit_are_served_within_the_budget(serve, folder, client_of):
    server, client = serve(folder.path, f"--lazy-load-memory-budget={BUDGET}")
    assert "stand by" in server.log()
    asked = [*MODELS, "e1", "outer"]
    done = threading.Event()
    held = []

    def watch():
        while not done.is_set():
            held.append(server.metric("nv_model_memory_used_bytes"))
            done.wait(0.01)

    def ask(kind, seed):
        one, choose = client_of(kind, server), random.Random(seed)
        for _ in range(40):
            model = choose.choice(asked)
            assert answer(one, model) == expected(model)

    def stream(seed):
        one, choose = Stream(client_of("grpc", server)), random.Random(seed)
        models = [choose.choice(asked) for _ in range(40)]
        for model in models:
            one.send(model, inputs(one.client))
        for model, (result, error) in zip(models, one.answers(40)):
            assert error is None, f"{model}: {error}"
            assert int(result.as_numpy("y")[0]) == expected(model)
        assert one.no_more()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        in_threads(
            *(lambda seed=seed: ask("http", seed) for seed in range(2)),
            *(lambda seed=seed: ask("grpc", 10 + seed) for seed in range(2)),
            *(lambda seed=seed: stream(20 + seed) for seed in range(2)),
        )
    finally:
        done.set()
        watching.join()
    assert max(held) <= BUDGET
    assert server.metric("nv_model_memory_budget_bytes") == BUDGET
    assert server.metric("nv_model_eviction") > 20
    assert server.metric("nv_model_load_failure") == 0
    assert len(loaded(client) & set(MODELS)) <= 3
    assert server.get("/v2/health/ready")[0] == 200


@pytest.mark.parametrize("kind", ["http", "grpc", "http.aio", "grpc.aio"])
def test_the_least_recently_used_goes_and_comes_back(serve, folder, kind):
    server, client = serve(folder.path, f"--lazy-load-memory-budget={BUDGET}", kind=kind)
    for model in ["m1", "m2", "m3", "m1"]:
        assert answer(client, model) == expected(model)
    assert loaded(client) == {"m1", "m2", "m3"}
    assert answer(client, "m4") == 4
    assert loaded(client) == {"m1", "m3", "m4"}
    # An ensemble uses what it is made of.
    assert answer(client, "outer") == 1
    assert answer(client, "m5") == 5
    assert loaded(client) == {"m1", "m4", "m5", "e1", "outer"}
    assert answer(client, "m2") == 2 and answer(client, "m3") == 3
    assert loaded(client) == {"m2", "m3", "m5"}
    assert "evicted" in server.log() and "loaded on demand" in server.log()


@pytest.mark.parametrize("kind", ["http", "grpc", "http.aio", "grpc.aio"])
def test_a_model_that_stands_by_is_ready_and_tells_of_itself(serve, folder, kind):
    server, client = serve(folder.path, kind=kind)
    index = client.json("get_model_repository_index")
    models = index if isinstance(index, list) else index["models"]
    by_name = {model["name"]: model for model in models}
    assert by_name["m7"]["state"] == "READY" and by_name["m7"]["reason"].startswith("stands by")
    assert client.is_server_ready() and client.is_model_ready("m7")
    assert not client.is_model_ready("m7", "3") and not client.is_model_ready("unknown")
    statistics = client.json("get_inference_statistics", "m7")
    assert not statistics.get("model_stats")
    assert server.metric("nv_model_load_success") == 0
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'm7' version 3 is not found"):
        answer(client, "m7", model_version="3")
    assert server.metric("nv_model_load_success") == 0
    assert client.json("get_model_metadata", "m7")["versions"] == ["1"]
    config = client.json("get_model_config", "e1")
    assert config.get("config", config)["name"] == "e1"
    assert loaded(client) == {"m7", "e1", "m1"}


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_broken_model_fails_its_own_requests_only(serve, folder, kind, client_of):
    server, client = serve(folder.path, kind=kind)

    def ask_broken():
        one = client_of(kind, server)
        for _ in range(25):
            with pytest.raises(InferenceServerException, match="'broken' could not be loaded for the request") as told:
                answer(one, "broken")
            if kind == "grpc":
                assert told.value.status() == "StatusCode.UNAVAILABLE"

    def ask_others():
        one = client_of(kind, server)
        for model in MODELS[:10]:
            assert answer(one, model) == expected(model)

    in_threads(ask_broken, ask_broken, ask_others)
    assert server.metric("nv_model_load_failure", model="broken") < 5
    assert client.is_server_ready() and not client.is_model_ready("broken")


def test_a_client_that_does_not_wait_leaves_the_load_to_others(serve, folder, client_of):
    server, client = serve(folder.path)
    hasty = client_of("grpc", server)
    for model in MODELS[:5]:
        try:
            assert answer(hasty, model, client_timeout=0.002) == expected(model)
        except InferenceServerException as error:
            assert "DEADLINE_EXCEEDED" in str(error.status()) or "Deadline" in str(error)
    for model in MODELS[:5]:
        assert answer(client, model) == expected(model)
        assert server.metric("nv_model_load_success", model=model) == 1


def test_what_is_loaded_by_request_stays_until_it_is_unloaded(serve, folder):
    flags = ["--model-control-mode=explicit", "--load-model=m1", "--load-model=m2", "--load-model=m3"]
    server, client = serve(folder.path, *flags, f"--lazy-load-memory-budget={2 * SIZE}")
    client.load_model("m9")
    for model in ["m1", "m2", "m3", "m9", "m1"]:
        assert answer(client, model) == expected(model)
    assert loaded(client) == {"m1", "m9"}
    with pytest.raises(InferenceServerException, match="unknown model: 'm4'"):
        answer(client, "m4")
    client.unload_model("m9")
    client.unload_model("m2")
    for model in ["m9", "m2"]:
        with pytest.raises(InferenceServerException, match="unknown model"):
            answer(client, model)
    assert answer(client, "m3") == 3 and answer(client, "m1") == 1
    assert server.metric("nv_model_memory_used_bytes") == 2 * SIZE


def test_a_model_that_cannot_fit_says_so(serve, folder):
    server, client = serve(folder.path, f"--lazy-load-memory-budget={SIZE - 1}")
    with pytest.raises(InferenceServerException, match=f"'m1' takes {SIZE} bytes, more than .* {SIZE - 1} bytes"):
        answer(client, "m1")
    with pytest.raises(InferenceServerException, match=f"'e1' takes {SIZE} bytes with what it is composed of"):
        answer(client, "e1")
    assert server.metric("nv_model_load_failure") == 0


def test_sequences_keep_their_model(serve, tmp_path, client_of):
    repository = tmp_path / "models"
    repository.mkdir()
    for name in ["one", "two"]:
        write_model(str(repository), name, sum_config("sequence", "direct { }"))
        (repository / name / "1").mkdir(exist_ok=True)
        (repository / name / "1" / "weights").write_bytes(b"0" * 1000)
    server, client = serve(repository, "--lazy-load-memory-budget=1000", kind="grpc")
    assert total(client, "one", 5, 7, "S") == 5
    asked = threading.Thread(target=lambda: send(client_of("grpc", server), "two", 1, 8, "SE"))
    asked.start()
    assert total(client, "one", 6, 7) == 11
    assert total(client, "one", 1, 7, "E") == 12
    asked.join(60)
    assert not asked.is_alive() and loaded(client) == {"two"}


def test_a_watched_repository_changes_what_stands_by(serve, folder):
    server, client = serve(
        folder.path, "--model-control-mode=poll", "--repository-poll-secs=1", f"--lazy-load-memory-budget={BUDGET}"
    )
    assert answer(client, "m1") == 1
    folder.replace(adds(101), "m1", "1", "model.onnx")
    folder.replace(adds(102), "m2", "1", "model.onnx")
    folder.add("m31", {1: adds(31)}, ONE)
    folder.remove("m3")
    within(lambda: answer(client, "m1") == 101)
    within(lambda: client.is_model_ready("m31"))
    within(lambda: not client.is_model_ready("m3"))
    assert loaded(client) == {"m1"}, "the others stand by"
    within(lambda: answer(client, "m2") == 102)
    assert answer(client, "m31") == 31
    folder.replace(adds(7), "broken", "1", "model.onnx")
    within(lambda: client.is_model_ready("broken"))
    assert answer(client, "broken") == 7
    os.utime(folder.file("m31", "config.pbtxt"))
    within(lambda: server.metric("nv_model_load_success", model="m31") == 2)
    assert server.metric("nv_model_memory_used_bytes") <= BUDGET
