"""Every public method of every client of tritonclient, against one server: what it is documented to do, and nothing left out.

A method that a client has and this table has not fails the first test, and so does one that is here and nowhere else.
"""

import base64
import inspect
import queue

import numpy as np
import pytest
import tritonclient.utils.shared_memory as shared_memory
from server_process import ServerProcess
from tritonclient.utils import InferenceServerException

ZEROS, ONES = np.zeros((1, 16), np.int32), np.ones((1, 16), np.int32)
HANDLE = base64.b64encode(bytes(64))


@pytest.fixture(scope="module")
def served(repository):
    folder, _ = repository
    models = ["simple", "seq", "repeat_py"]
    flags = ["--model-control-mode=explicit", "--allow-client-shm=true", *(f"--load-model={m}" for m in models)]
    flags.append("--http-header-forward-pattern=x-.*")
    with ServerProcess(folder, flags=flags) as process:
        yield process
        assert process.alive(), process.log()[-4000:]


@pytest.fixture(params=["http", "http.aio", "grpc", "grpc.aio"])
def client(request, client_of, served):
    return client_of(request.param, of=served)


def inputs(client):
    return [client.input(name, ONES, "INT32") for name in ("INPUT0", "INPUT1")]


def plain(client, method, *arguments, **named):
    """A method that has `as_json` over gRPC. `headers` are taken by all of them."""
    return client.json(method, *arguments, headers={"x-test": "1"}, **named)


def refused(method, *arguments, text, **named):
    with pytest.raises(InferenceServerException) as error:
        method(*arguments, **named)
    assert text in error.value.message(), error.value
    return error.value


def health(client):
    assert client.is_server_live() is True and client.is_server_ready() is True
    assert client.is_model_ready("simple") is True and client.is_model_ready("simple", "9") is False


def server_metadata(client):
    extensions = plain(client, "get_server_metadata")["extensions"]
    assert {"trace", "logging", "statistics", "system_shared_memory", "cuda_shared_memory"} <= set(extensions)


def model_metadata(client):
    assert plain(client, "get_model_metadata", "simple", "1")["versions"] == ["1"]
    error = refused(client.get_model_metadata, "nobody", "3", text="Request for unknown model: 'nobody' is not found")
    assert error.status() in ("404", "StatusCode.NOT_FOUND")


def model_config(client):
    config = plain(client, "get_model_config", "simple")
    config = config.get("config", config)
    assert config["name"] == "simple" and int(config["max_batch_size"]) == 8


def repository_index(client):
    index = plain(client, "get_model_repository_index")
    index = index["models"] if isinstance(index, dict) else index
    assert {"simple", "mlp_auto"} <= {entry["name"] for entry in index}


def load_and_unload(client):
    client.load_model("mlp_auto", config='{"backend": "onnxruntime", "max_batch_size": 4}')
    config = plain(client, "get_model_config", "mlp_auto")
    assert int(config.get("config", config)["max_batch_size"]) == 4
    client.unload_model("mlp_auto", unload_dependents=True)
    assert client.is_model_ready("mlp_auto") is False
    refused(client.load_model, "nobody", text="failed to load 'nobody', failed to poll from model repository")


def statistics(client):
    one = plain(client, "get_inference_statistics", "simple", "1")["model_stats"]
    everything = plain(client, "get_inference_statistics")["model_stats"]
    assert [entry["name"] for entry in one] == ["simple"] and len(everything) == 3
    refused(client.get_inference_statistics, "nobody", text="requested model 'nobody' is not available")


def value(settings, name):
    """A setting of either protocol."""
    found = settings.get("settings", settings)[name]
    found = found.get("value", found) if isinstance(found, dict) else found
    if isinstance(found, dict):
        (found,) = found.values()
    return found[0] if isinstance(found, list) and name != "trace_level" else found


def trace_settings(client):
    before = plain(client, "get_trace_settings")
    assert value(before, "trace_rate") == "1000" and value(before, "trace_level") == ["OFF"]
    changed = plain(client, "update_trace_settings", "simple", {"trace_rate": "7"})
    assert value(changed, "trace_rate") == "7"
    assert value(plain(client, "get_trace_settings", "simple"), "trace_rate") == "7"
    assert value(plain(client, "get_trace_settings"), "trace_rate") == "1000"
    assert value(plain(client, "update_trace_settings", "simple", {"trace_rate": None}), "trace_rate") == "1000"
    refused(client.update_trace_settings, settings={"trace_file": "x"}, text="trace file location can not be updated")
    refused(client.get_trace_settings, "nobody", text="Request for unknown model : nobody")


def log_settings(client):
    assert value(plain(client, "get_log_settings"), "log_info") is True
    changed = plain(client, "update_log_settings", {"log_verbose_level": 1, "log_format": "ISO8601"})
    assert value(changed, "log_verbose_level") == 1 and value(changed, "log_format") == "ISO8601"
    plain(client, "update_log_settings", {"log_verbose_level": 0, "log_format": "default"})
    refused(client.update_log_settings, {"log_file": "x"}, text="log file location can not be updated")


def regions(answer):
    entries = answer["regions"].values() if isinstance(answer, dict) and "regions" in answer else answer
    return sorted(entry["name"] for entry in entries) if entries else []


def system_shared_memory(client):
    key = f"/every_method_{client.kind}"
    region = shared_memory.create_shared_memory_region("r", key, 192)
    try:
        shared_memory.set_shared_memory_region(region, [ONES, ONES])
        client.register_system_shared_memory("r", key, 192)
        assert regions(plain(client, "get_system_shared_memory_status")) == ["r"]
        assert regions(plain(client, "get_system_shared_memory_status", "r")) == ["r"]
        refused(client.register_system_shared_memory, "r", key, 192, text="already in manager")
        tensors = []
        for place, name in enumerate(("INPUT0", "INPUT1")):
            tensor = client.module.InferInput(name, [1, 16], "INT32")
            tensor.set_shared_memory("r", 64, offset=64 * place)
            tensors.append(tensor)
        output = client.module.InferRequestedOutput("OUTPUT0")
        output.set_shared_memory("r", 64, offset=128)
        client.infer("simple", tensors, outputs=[output])
        written = shared_memory.get_contents_as_numpy(region, np.int32, [1, 16], 128)
        assert (written == 2).all()
        client.unregister_system_shared_memory("r")
        assert regions(plain(client, "get_system_shared_memory_status")) == []
        refused(client.get_system_shared_memory_status, "r", text="Unable to find system shared memory region: 'r'")
        client.unregister_system_shared_memory()
    finally:
        shared_memory.destroy_shared_memory_region(region)


def cuda_shared_memory(client):
    """As on any machine without a GPU."""
    refused(client.register_cuda_shared_memory, "c", HANDLE, 0, 64, text="failed to register shared memory region: invalid args")
    assert regions(plain(client, "get_cuda_shared_memory_status")) == []
    refused(client.get_cuda_shared_memory_status, "c", text="Unable to find cuda shared memory region: 'c'")
    client.unregister_cuda_shared_memory("c")
    client.unregister_cuda_shared_memory()


def infer(client):
    result = client.infer(
        "simple",
        inputs(client),
        model_version="1",
        outputs=[client.output("OUTPUT0"), client.output("OUTPUT1", class_count=2)],
        request_id="id",
        priority=0,
        timeout=10_000_000,
        headers={"x-test": "1"},
        parameters={"custom": "text", "number": 5},
    )
    assert (result.as_numpy("OUTPUT0") == 2).all() and result.as_numpy("OUTPUT1").shape == (1, 2)
    assert result.as_numpy("nobody") is None
    response, output = result.get_response(), result.get_output("OUTPUT0")
    assert (response["id"] if client.protocol == "http" else response.id) == "id"
    assert (output["datatype"] if client.protocol == "http" else output.datatype) == "INT32"
    sequence = client.input("INPUT0", np.ones((1, 1), np.float32), "FP32")
    client.infer("seq", [sequence], sequence_id=7, sequence_start=True, sequence_end=True)
    compression = (
        {"compression_algorithm": "gzip"}
        if client.protocol == "grpc"
        else {"request_compression_algorithm": "gzip", "response_compression_algorithm": "deflate"}
    )
    assert (client.infer("simple", inputs(client), **compression).as_numpy("OUTPUT1") == 0).all()
    refused(client.infer, "simple", inputs(client), model_version="9", text="'simple' version 9 is not found")


def async_infer(client):
    if client.protocol == "http":
        pending = [client.async_infer("simple", inputs(client), request_id=str(i)) for i in range(3)]
        results = [request.get_result(block=True, timeout=10) for request in pending]
    else:
        answers = queue.Queue()
        for i in range(3):
            take = lambda result, error: answers.put(error or result)  # noqa: E731
            client.async_infer("simple", inputs(client), take, request_id=str(i))
        results = [answers.get(timeout=10) for _ in range(3)]
    assert all((result.as_numpy("OUTPUT0") == 2).all() for result in results)


def count_of(client, number):
    return [client.input("IN", np.array([number], np.int32), "INT32")]


def stream(client):
    """`start_stream`, `async_stream_infer` and `stop_stream`."""
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put(error or result), headers={"x-test": "1"})
    client.async_stream_infer("repeat_py", count_of(client, 2), request_id="a", enable_empty_final_response=True)
    got = [answers.get(timeout=10) for _ in range(3)]
    assert [int(result.as_numpy("OUT")[0]) for result in got[:2]] == [0, 1]
    assert got[2].get_response().parameters["triton_final_response"].bool_param
    client.async_stream_infer("nobody", count_of(client, 2), request_id="b")
    assert "Request for unknown model: 'nobody' is not found" in answers.get(timeout=10).message()
    client.stop_stream()


def stream_infer(client):
    async def requests():
        yield {"model_name": "repeat_py", "inputs": count_of(client, 2), "request_id": "a"}
        yield {"model_name": "nobody", "inputs": count_of(client, 2), "request_id": "b"}

    async def read():
        answers = client.real.stream_infer(inputs_iterator=requests(), headers={"x-test": "1"})
        return [(result, error) async for result, error in answers]

    # Responses of a decoupled model come when they come, in between those of other requests.
    answers = client.loop.run_until_complete(read())
    assert [int(result.as_numpy("OUT")[0]) for result, error in answers if error is None] == [0, 1]
    (error,) = [error for _, error in answers if error is not None]
    assert "Request for unknown model: 'nobody' is not found" in error.message()


def plugins(client):
    seen = []

    class Plugin(client.module.InferenceServerClientPlugin):
        def __call__(self, request):
            request.headers["x-plugin"] = "1"
            seen.append(request)

    plugin = Plugin()
    client.real.register_plugin(plugin)
    assert client.real.plugin() is plugin
    assert client.is_server_live() is True and len(seen) == 1
    client.real.unregister_plugin()
    assert client.is_server_live() is True and len(seen) == 1


def bodies(client):
    """`generate_request_body` and `parse_response_body`, for other HTTP clients."""
    import http.client

    make = type(client.real).generate_request_body
    body, length = make(inputs(client), outputs=[client.output("OUTPUT0")])
    host, port = client.real_url.split(":")
    link = http.client.HTTPConnection(host, int(port), timeout=10)
    headers = {"Inference-Header-Content-Length": str(length)} if length else {}
    link.request("POST", "/v2/models/simple/infer", body, headers)
    reply = link.getresponse()
    length = reply.headers.get("Inference-Header-Content-Length")
    parse = type(client.real).parse_response_body
    result = parse(reply.read(), header_length=int(length) if length else None)
    assert (result.as_numpy("OUTPUT0") == 2).all()
    link.close()


def close(client):
    """The fixture closes each client at the end of its test."""
    assert callable(client.real.close)


TABLE = {
    "is_server_live": health,
    "is_server_ready": health,
    "is_model_ready": health,
    "get_server_metadata": server_metadata,
    "get_model_metadata": model_metadata,
    "get_model_config": model_config,
    "get_model_repository_index": repository_index,
    "load_model": load_and_unload,
    "unload_model": load_and_unload,
    "get_inference_statistics": statistics,
    "get_trace_settings": trace_settings,
    "update_trace_settings": trace_settings,
    "get_log_settings": log_settings,
    "update_log_settings": log_settings,
    "get_system_shared_memory_status": system_shared_memory,
    "register_system_shared_memory": system_shared_memory,
    "unregister_system_shared_memory": system_shared_memory,
    "get_cuda_shared_memory_status": cuda_shared_memory,
    "register_cuda_shared_memory": cuda_shared_memory,
    "unregister_cuda_shared_memory": cuda_shared_memory,
    "infer": infer,
    "async_infer": async_infer,
    "start_stream": stream,
    "async_stream_infer": stream,
    "stop_stream": stream,
    "stream_infer": stream_infer,
    "plugin": plugins,
    "register_plugin": plugins,
    "unregister_plugin": plugins,
    "generate_request_body": bodies,
    "parse_response_body": bodies,
    "close": close,
}


def methods(client):
    members = inspect.getmembers(type(client.real), callable)
    return {name for name, _ in members if not name.startswith("_")}


def test_the_table_is_complete(client_of, served):
    every = set()
    for kind in ("http", "http.aio", "grpc", "grpc.aio"):
        every |= methods(client_of(kind, of=served))
    assert every == set(TABLE)


@pytest.mark.parametrize("what", sorted(set(TABLE.values()), key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_methods(client, what, served):
    names = {name for name, function in TABLE.items() if function is what}
    if not names & methods(client):
        pytest.skip(f"this client has none of {', '.join(sorted(names))}")
    client.real_url = served.http
    what(client)
