"""Repositories in an object store: a real S3 server, and one that fails in every way."""

import json
import os
import subprocess

import numpy as np
import pytest
import s3
from models import ADD_SUB_CONFIG, add_sub
from s3 import BUCKET, KEY, first
from server_process import BINARY, ServerProcess

A = np.arange(16, dtype=np.int32).reshape(1, 16)

IDENTITY = """
backend: "identity"
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] } ]
"""


@pytest.fixture(scope="module")
def moto():
    store = s3.Store()
    yield store
    store.stop()


@pytest.fixture
def store(moto):
    """The S3 server with one model, `sum`."""
    moto.clear()
    moto.put("models/sum/config.pbtxt", ADD_SUB_CONFIG)
    moto.put("models/sum/1/model.onnx", add_sub())
    return moto


@pytest.fixture
def proxy(store):
    proxy = s3.Proxy(store)
    yield proxy
    proxy.stop()


@pytest.fixture
def serve(proxy, client_of):
    """serve(*flags): a server on the store behind the proxy, and a client of it."""
    servers = []

    def start(*flags, repositories=None, variables=None, **more):
        places = repositories or [f"s3://{proxy.url}/{BUCKET}/models"]
        flags = ["--model-control-mode=explicit", "--load-model=*", *flags]
        server = ServerProcess(*places, flags=flags, variables={**KEY, **(variables or {})}, **more)
        servers.append(server)
        server.start()
        return server, client_of("http", server)

    yield start
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0


def total(client, model="sum"):
    inputs = [client.input(name, A, "INT32") for name in ("INPUT0", "INPUT1")]
    return client.infer(model, inputs).as_numpy("OUTPUT0").tolist()


def refused(places, variables=None, flags=()):
    """What a server prints that cannot start on these repositories."""
    server = ServerProcess(*places, flags=flags, variables={**KEY, **(variables or {})})
    with pytest.raises(RuntimeError, match="ended with status 1") as error:
        server.start()
    return str(error.value)


def test_models_are_served_and_only_what_changes_is_fetched_again(store, proxy, serve):
    store.put("models/README.md", "not a model")
    server, client = serve()
    assert total(client) == (A + A).tolist()
    assert sorted(proxy.objects()) == ["models/sum/1/model.onnx", "models/sum/config.pbtxt"]
    assert proxy.keys == {KEY["AWS_ACCESS_KEY_ID"]}
    assert "fetching from s3://" in server.log() and "fetched from s3://" in server.log()

    proxy.forget()
    client.load_model("sum")
    assert proxy.objects() == [], "nothing changed"
    client.unload_model("sum")
    client.load_model("sum")
    assert proxy.objects() == [], "it is here still"

    store.put("models/sum/config.pbtxt", ADD_SUB_CONFIG.replace("max_batch_size: 8", "max_batch_size: 2"))
    client.load_model("sum")
    assert proxy.objects() == ["models/sum/config.pbtxt"]
    assert client.get_model_config("sum")["max_batch_size"] == 2

    proxy.forget()
    store.put("models/sum/2/model.onnx", add_sub())
    client.load_model("sum")
    assert proxy.objects() == ["models/sum/2/model.onnx"]
    assert client.is_model_ready("sum", "2") and not client.is_model_ready("sum", "1")
    assert total(client) == (A + A).tolist()


def test_models_that_stand_by_are_fetched_when_they_are_asked_for(store, proxy, serve):
    one = ADD_SUB_CONFIG + "instance_group [ { count: 1 kind: KIND_CPU } ]"
    for model in ("sum", "other"):
        store.put(f"models/{model}/config.pbtxt", one)
    store.put("models/other/1/model.onnx", add_sub())
    budget = len(add_sub()) * 3 // 2
    server, client = serve("--lazy-load", f"--lazy-load-memory-budget={budget}")
    weights = lambda: [name for name in proxy.objects() if name.endswith(".onnx")]  # noqa: E731
    assert client.is_model_ready("sum") and client.is_model_ready("other")
    assert weights() == []
    for model in ("sum", "other"):
        assert total(client, model) == (A + A).tolist()
    assert sorted(weights()) == ["models/other/1/model.onnx", "models/sum/1/model.onnx"]
    assert server.metric("nv_model_eviction", model="sum") == 1, "there is room for one"

    proxy.forget()
    assert total(client, "sum") == (A + A).tolist()
    assert weights() == [], "it is here still"
    store.put("models/other/2/model.onnx", add_sub())
    assert total(client, "other") == (A + A).tolist()
    assert weights() == ["models/other/2/model.onnx"], "the store is looked at anew"
    assert server.metric("nv_model_memory_used_bytes") <= budget


def test_the_index_follows_the_store(store, serve):
    _, client = serve()
    store.put("models/later/config.pbtxt", IDENTITY)
    store.put("models/later/1/", b"")
    assert {entry["name"] for entry in client.get_model_repository_index()} == {"sum", "later"}
    # The mark of an empty folder is a version.
    client.load_model("later")
    tensor = client.input("INPUT0", A[0], "INT32")
    assert client.infer("later", [tensor]).as_numpy("OUTPUT0").tolist() == A[0].tolist()


def test_the_whole_bucket_may_be_the_repository(store, proxy, serve):
    store.put("top/config.pbtxt", IDENTITY)
    store.put("top/1/", b"")
    store.delete("models/sum/config.pbtxt")
    store.delete("models/sum/1/model.onnx")
    _, client = serve(repositories=[f"s3://http://{proxy.url}/{BUCKET}"])
    assert client.is_model_ready("top")


def test_a_reload_that_cannot_be_fetched_leaves_what_serves(store, proxy, serve):
    _, client = serve()
    store.put("models/sum/config.pbtxt", ADD_SUB_CONFIG + "# changed\n")
    proxy.fault = lambda method, path: 403
    with pytest.raises(Exception, match="failed to load 'sum', failed to poll from model repository"):
        client.load_model("sum")
    proxy.fault = lambda method, path: None
    assert total(client) == (A + A).tolist()
    (entry,) = client.get_model_repository_index()
    assert entry["state"] == "READY"
    assert "access to bucket" in entry["reason"] and "TestFault: told to fail" in entry["reason"]
    client.load_model("sum")
    (entry,) = client.get_model_repository_index()
    assert not entry.get("reason")


@pytest.mark.parametrize(
    "fault",
    [first(3, 503), first(2, "truncate", "model.onnx"), first(9, "trickle"), first(4, 500, "config")],
    ids=["first requests fail", "bodies end early", "bodies trickle", "one object fails"],
)
def test_what_passes_by_itself_disturbs_nobody(proxy, serve, fault):
    proxy.fault = fault
    _, client = serve()
    assert total(client) == (A + A).tolist()


def test_a_load_is_tried_again_as_often_as_the_flag_says(proxy, serve):
    server, client = serve("--model-load-retry-count=2", "--exit-on-error=false", "--strict-readiness=false")
    proxy.fault = lambda method, path: 403 if path.endswith("labels.txt") else None
    proxy.store.put("models/sum/labels.txt", "a\nb\n")
    proxy.forget()
    with pytest.raises(Exception, match="failed to load 'sum'"):
        client.load_model("sum")
    assert proxy.objects() == ["models/sum/labels.txt"] * 3
    assert server.log().count("trying again") == 2
    # A fault that passes in time is none.
    proxy.fault = first(2, 403, "labels.txt")
    client.load_model("sum")


def test_an_object_that_is_refused_is_named(proxy, serve):
    _, client = serve()
    proxy.store.put("models/sum/labels.txt", b"x" * 1000)
    proxy.fault = lambda method, path: 403 if path.endswith("labels.txt") else None
    with pytest.raises(Exception, match="failed to load 'sum'"):
        client.load_model("sum")
    (entry,) = client.get_model_repository_index()
    assert "object 'models/sum/labels.txt' could not be read" in entry["reason"]


def test_a_bucket_that_is_not_there_is_told(proxy):
    log = refused([f"s3://{proxy.url}/no-such-bucket/models"])
    assert f"bucket 'no-such-bucket' at http://{proxy.url} does not exist (NoSuchBucket" in log, log


def test_a_wrong_key_is_told_with_what_to_set(store, proxy):
    with store.checking_keys():
        log = refused([f"s3://{proxy.url}/{BUCKET}/models"])
    assert f"access to bucket '{BUCKET}' at http://{proxy.url} was refused (InvalidAccessKeyId" in log, log
    assert "check AWS_ACCESS_KEY_ID" in log
    assert KEY["AWS_SECRET_ACCESS_KEY"] not in log


def test_half_a_key_and_bad_locations_are_told(proxy):
    url = f"s3://{proxy.url}/{BUCKET}/models"
    assert "AWS_SECRET_ACCESS_KEY is set without the other" in refused([url], {"AWS_SECRET_ACCESS_KEY": ""})
    assert "is not a model repository's location: it names no bucket" in refused(["s3://"])
    assert "is not there; make it" in refused([url], {"TRITON_AWS_MOUNT_DIRECTORY": "/not/there"})


def test_credentials_come_from_tritons_file(tmp_path, proxy, serve):
    path = tmp_path / "credentials.json"
    url = f"s3://{proxy.url}/{BUCKET}"
    entry = {"secret_key": "s", "region": "us-east-1", "session_token": "", "profile": ""}
    entries = {"": {**entry, "key_id": "everywhere"}, url: {**entry, "key_id": "just-here"}}
    path.write_text(json.dumps({"s3": entries}))
    _, client = serve(variables={"TRITON_CLOUD_CREDENTIAL_PATH": str(path)})
    assert total(client) == (A + A).tolist()
    assert proxy.keys == {"just-here"}


def test_a_named_cache_is_used_again_and_by_one_server_only(tmp_path, proxy, serve):
    variables = {"TRITON_AWS_MOUNT_DIRECTORY": str(tmp_path)}
    server, client = serve(variables=variables)
    assert total(client) == (A + A).tolist()
    assert "another process uses it" in refused([f"s3://{proxy.url}/{BUCKET}/models"], variables)
    assert server.stop() == 0
    proxy.forget()
    _, client = serve(variables=variables)
    assert total(client) == (A + A).tolist()
    assert proxy.objects() == [], "nothing is fetched twice"


def test_a_temporary_cache_goes_with_the_server(tmp_path, serve):
    server, client = serve(variables={"TMPDIR": str(tmp_path)})
    assert total(client) == (A + A).tolist()
    # ONNX Runtime leaves a file of its own there.
    assert list(tmp_path.glob("hippocamp-*"))
    assert server.stop() == 0
    assert not list(tmp_path.glob("hippocamp-*"))


def test_keys_that_lead_elsewhere_spoil_no_other_model(tmp_path, store, serve):
    for key in ("models/evil/../../../escaped", "models/evil/1//x", "models/evil/1/model.onnx"):
        store.put(key, b"evil")
    cache = tmp_path / "a" / "cache"
    cache.mkdir(parents=True)
    server, client = serve(
        "--exit-on-error=false",
        "--strict-readiness=false",
        variables={"TRITON_AWS_MOUNT_DIRECTORY": str(cache)},
    )
    assert total(client) == (A + A).tolist()
    files = [os.path.join(root, name) for root, _, names in os.walk(tmp_path) for name in names]
    assert files and not any("escaped" in path for path in files)
    assert all(path.startswith(str(cache)) for path in files)
    assert "evil" in server.log()


def test_a_store_beside_a_folder(tmp_path, store, proxy, serve):
    (tmp_path / "local" / "1").mkdir(parents=True)
    (tmp_path / "local" / "config.pbtxt").write_text(IDENTITY)
    _, client = serve(repositories=[tmp_path, f"s3://{proxy.url}/{BUCKET}/models"])
    assert client.is_model_ready("local") and client.is_model_ready("sum")
    # What is down does not keep the rest from being loaded.
    proxy.fault = lambda method, path: 403
    client.load_model("local")


def test_check_looks_into_stores_too(store, proxy):
    store.put("models/bad/config.pbtxt", "max_batch: 1\n")
    store.put("models/bad/1/", b"")
    command = [BINARY, "check", f"s3://{proxy.url}/{BUCKET}/models", "--configs-only"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **KEY}, check=False)
    assert done.returncode == 1, done.stderr
    assert "fix: write 'max_batch_size'" in done.stdout and "2 models, 1 error" in done.stdout
