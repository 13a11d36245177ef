"""Traces: Triton's file, a collector of OpenTelemetry, and the settings of both and of the log, by real clients."""

import json
import os
import platform
import socket
import subprocess
import sys
import time

import numpy as np
import perf_analyzer
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from conftest import ROOT, Client
from otlp import Collector, attributes, tree
from server_process import ServerProcess
from tritonclient.utils import InferenceServerException

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
A = np.arange(16, dtype=np.int32).reshape(1, 16)


def traced(repository, *configs, flags=(), **more):
    """A server with the ensemble `ens`, its steps, and these settings of traces."""
    folder, _ = repository
    load = ["--model-control-mode=explicit", "--load-model=ens", "--load-model=simple"]
    return ServerProcess(folder, flags=[*load, *(f"--trace-config={c}" for c in configs), *flags], **more)


def ask(server, protocol, model="ens", headers=None, request_id=""):
    client = Client(protocol, server)
    names = ("A", "B") if model == "ens" else ("INPUT0", "INPUT1")
    try:
        inputs = [client.input(name, A, "INT32") for name in names]
        return client.infer(model, inputs, headers=headers, request_id=request_id)
    finally:
        client.close()


def objects(path):
    """The objects of a trace file by their id."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for entry in json.load(f):
            found.setdefault(entry["id"], []).append(entry)
    return found


def ask_v1(server, protocol):
    """The same request to `simple` in V1, without its client."""
    import http.client

    import grpc

    tensors = [A.tobytes(), A.tobytes()]
    if protocol == "http":
        link = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
        header = 'batch_size: 1 id: 7 input { name: "INPUT0" } input { name: "INPUT1" }'
        link.request("POST", "/api/infer/simple", b"".join(tensors), {"NV-InferRequest": header, "traceparent": PARENT})
        assert link.getresponse().status == 200
        link.close()
        return

    def field(number, value):
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2, len(value)]) + value

    header = field(1, 1) + field(5, 7) + b"".join(field(2, field(1, name)) for name in (b"INPUT0", b"INPUT1"))
    latest = bytes([2 << 3]) + b"\xff" * 9 + b"\x01"
    message = field(1, b"simple") + latest + field(3, header) + b"".join(field(4, tensor) for tensor in tensors)
    with grpc.insecure_channel(server.grpc) as channel:
        for method in ("unary_unary", "stream_stream"):
            name = "Infer" if method == "unary_unary" else "StreamInfer"
            call = getattr(channel, method)(f"/nvidia.inferenceserver.GRPCService/{name}")
            sent = message if method == "unary_unary" else iter([message])
            reply = call(sent, metadata=[("traceparent", PARENT)])
            (reply,) = [reply] if method == "unary_unary" else list(reply)
            assert reply[2:4] == b"\x08\x01", reply


def times(entries):
    return {time["name"]: time["ns"] for entry in entries for time in entry.get("timestamps", ())}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_requests_of_v1(repository, tmp_path, protocol):
    path = tmp_path / "trace.json"
    with traced(repository, f"triton,file={path}", "level=TIMESTAMPS", "rate=1") as server:
        ask_v1(server, protocol)
    found = objects(path)
    assert len(found) == (1 if protocol == "http" else 2)
    before = ["HTTP_RECV_START", "HTTP_RECV_END"] if protocol == "http" else ["GRPC_WAITREAD_START", "GRPC_WAITREAD_END"]
    after = [f"{protocol.upper()}_SEND_START", f"{protocol.upper()}_SEND_END"]
    for entries in found.values():
        (head,) = [entry for entry in entries if "model_name" in entry]
        assert (head["model_name"], head["request_id"]) == ("simple", "7")
        assert {*before, *after, "INFER_RESPONSE_COMPLETE", "REQUEST_START", "COMPUTE_START"} <= set(times(entries))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_file(repository, tmp_path, protocol):
    path = tmp_path / "trace.json"
    configs = [f"triton,file={path}", "level=TIMESTAMPS", "level=TENSORS", "rate=1"]
    with traced(repository, *configs) as server:
        ask(server, protocol, request_id='a"\n')
    found = objects(path)
    heads = [next(entry for entry in entries if "model_name" in entry) for entries in found.values()]
    assert [(h["id"], h["model_name"], h.get("parent_id")) for h in heads] == [
        (1, "ens", None), (2, "simple", 1), (3, "simple", 1)
    ]
    assert all(head["request_id"] == 'a"\n' and head["model_version"] == 1 for head in heads)
    before = ["HTTP_RECV_START", "HTTP_RECV_END"] if protocol == "http" else ["GRPC_WAITREAD_START", "GRPC_WAITREAD_END"]
    after = [f"{protocol.upper()}_SEND_START", f"{protocol.upper()}_SEND_END"]
    top = times(found[1])
    assert sorted(top) == sorted([*before, "REQUEST_START", "QUEUE_START", "REQUEST_END", "INFER_RESPONSE_COMPLETE", *after])
    order = [*before, "REQUEST_START", "REQUEST_END", *after]
    assert [top[name] for name in order] == sorted(top[name] for name in order)
    # On the clock that Triton uses.
    assert 0 < time.monotonic_ns() - top[after[1]] < 3600e9
    computing = ["REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
    for step in (2, 3):
        own = times(found[step])
        assert [own[name] for name in computing] == sorted(own[name] for name in computing)
        assert top["REQUEST_START"] <= own["REQUEST_START"] and own["REQUEST_END"] <= top["REQUEST_END"]
    tensors = [(e["id"], e["activity"], e["tensor"]) for es in found.values() for e in es if "tensor" in e]
    first = next(tensor for id, activity, tensor in tensors if (id, activity) == (1, "TENSOR_QUEUE_INPUT"))
    assert first == {"name": "A", "data": ",".join(map(str, range(16))), "shape": "1,16", "dtype": "INT32"}
    assert {activity for _, activity, _ in tensors} == {"TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT"}
    assert any(tensor["name"] == "DIFF" and tensor["data"] == ",".join(["0"] * 16) for _, _, tensor in tensors)


def test_file_with_an_index(repository, tmp_path, eventually):
    path = tmp_path / "trace.json"
    with traced(repository, f"triton,file={path}", "triton,log-frequency=2", "level=TIMESTAMPS", "rate=2") as server:
        for _ in range(10):
            ask(server, "grpc", "simple")
        eventually(lambda: (tmp_path / "trace.json.1").exists(), "the second file")
        client = triton_http.InferenceServerClient(server.http)
        assert client.get_trace_settings()["trace_count"] == "-1"
        # A change begins a new count of requests, and writes what the old setting has.
        client.update_trace_settings(settings={"trace_rate": "1", "trace_count": "1"})
        eventually(lambda: (tmp_path / "trace.json.2").exists(), "what was left")
        for _ in range(3):
            ask(server, "grpc", "simple")
        eventually(lambda: (tmp_path / "trace.json.3").exists(), "the count's file")
        assert client.get_trace_settings()["trace_count"] == "0"
    assert [len(objects(f"{path}.{n}")) for n in range(4)] == [2, 2, 1, 1]
    assert not path.exists() and not (tmp_path / "trace.json.4").exists()


def test_refused_requests_end_their_traces(repository, tmp_path):
    path = tmp_path / "trace.json"
    with traced(repository, f"triton,file={path}", "level=TIMESTAMPS", "rate=1") as server:
        client = triton_http.InferenceServerClient(server.http)
        with pytest.raises(InferenceServerException):
            client.infer("simple", [])
    (entries,) = objects(path).values()
    assert {"HTTP_RECV_START", "HTTP_RECV_END", "HTTP_SEND_END"} <= set(times(entries))
    assert "REQUEST_START" not in times(entries)


@pytest.mark.parametrize("transport", ["http", "grpc", "variables"])
def test_an_ensemble_in_a_collector(repository, eventually, transport):
    with Collector(refusals=1) as collector:
        url = {
            "http": f"opentelemetry,url=http://127.0.0.1:{collector.http_port}/v1/traces",
            "grpc": f"opentelemetry,url=grpc://127.0.0.1:{collector.grpc_port}",
            "variables": "opentelemetry,bsp_max_queue_size=999",
        }[transport]
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.grpc_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,a=1",
        }
        configs = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=1000", url]
        configs += ["opentelemetry,bsp_schedule_delay=10", "opentelemetry,resource=a=2"]
        with traced(repository, *configs, variables=variables if transport == "variables" else None) as server:
            headers = {"traceparent": PARENT, "tracestate": "vendor=x"}
            # Its client records it, so it is traced whatever the rate; the other is not, and its client does not want it.
            ask(server, "grpc" if transport == "http" else "http", headers=headers, request_id="r1")
            ask(server, "http", headers={"traceparent": PARENT[:-1] + "0"})
            eventually(lambda: len(collector.spans()) >= 6, "the spans")
        spans = collector.spans()
        step = ("simple", [("queue", []), ("compute", [])])
        assert tree(spans) == [("InferRequest", [("ens", [step, step])])]
        assert {span.trace_id.hex() for span in spans} == {PARENT.split("-")[1]}
        assert {span.trace_state for span in spans} == {"vendor=x"}
        assert {span.kind for span in spans} == {2}
        root = next(span for span in spans if span.name == "InferRequest")
        assert root.parent_span_id.hex() == PARENT.split("-")[2]
        assert not root.attributes
        ensemble = next(span for span in spans if span.name == "ens")
        assert attributes(ensemble.attributes) == {
            "triton.model_name": "ens", "triton.model_version": 1, "triton.trace_id": 1,
            "triton.trace_parent_id": 0, "triton.request_id": "r1",
        }
        steps = [attributes(span.attributes) for span in spans if span.name == "simple"]
        assert sorted(step["triton.trace_id"] for step in steps) == [2, 3]
        assert {step["triton.trace_parent_id"] for step in steps} == {1}
        for span in spans:
            assert span.start_time_unix_nano <= span.end_time_unix_nano
            assert abs(span.end_time_unix_nano - time.time_ns()) < 3600e9
        events = {span.name: [event.name for event in span.events] for span in spans}
        assert events["ens"] == ["REQUEST_START", "QUEUE_START", "REQUEST_END"]
        assert events["compute"] == ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
        assert "INFER_RESPONSE_COMPLETE" in events["InferRequest"]
        resource = collector.resource()
        assert (resource["service.name"], resource["a"]) == ("triton-inference-server", "2")
        if transport == "variables":
            assert resource["deployment.environment"] == "test"
            assert all(metadata["x-key"] == "a b" for metadata in collector.metadata)
        elif transport == "http":
            assert {metadata["path"] for metadata in collector.metadata} == {"/v1/traces"}


def test_failures_are_in_the_spans_and_the_rest_is_sent_at_the_end(repository):
    with Collector() as collector:
        configs = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=1"]
        configs += [f"opentelemetry,url=http://127.0.0.1:{collector.http_port}/v1/traces"]
        with traced(repository, *configs) as server:
            client = triton_http.InferenceServerClient(server.http)
            with pytest.raises(InferenceServerException):
                client.infer("simple", [])
            ask(server, "http", "simple")
            settings = client.get_trace_settings()
        # The delay of a batch is five seconds, and the end of the server does not wait for it.
        roots = [span for span in collector.spans() if span.name == "InferRequest"]
        assert len(roots) == 2 and all(len(span.trace_id) == 16 and not span.parent_span_id for span in roots)
        assert settings == {
            "trace_level": ["TIMESTAMPS"], "trace_rate": "1", "trace_count": "-1", "trace_mode": "opentelemetry",
            "bsp_max_queue_size": "2048", "bsp_schedule_delay": "5000", "bsp_max_export_batch_size": "512",
            "url": f"http://127.0.0.1:{collector.http_port}/v1/traces",
        }


@pytest.mark.parametrize("collector", ["absent", "silent"])
def test_no_request_waits_for_a_collector(repository, collector, eventually):
    configs = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=1", "opentelemetry,bsp_max_queue_size=8", "opentelemetry,bsp_schedule_delay=1"]
    with socket.socket() as silent:
        # Nobody listens; or the kernel takes the connection, and nobody reads it.
        silent.bind(("127.0.0.1", 0))
        if collector == "silent":
            silent.listen()
        configs.append(f"opentelemetry,url=http://127.0.0.1:{silent.getsockname()[1]}/v1/traces")
        lose_traces(repository, configs, "dropped" if collector == "silent" else None, eventually)


def lose_traces(repository, configs, reason, eventually):
    labels = {"reason": reason} if reason else {}
    with traced(repository, *configs) as server:
        client = Client("grpc", server)
        inputs = [client.input(name, A, "INT32") for name in ("INPUT0", "INPUT1")]
        for _ in range(50):
            client.infer("simple", inputs)
        client.close()
        # Of the fifty, eight wait and eight are on their way.
        eventually(lambda: server.metric("nv_server_traces_lost", **labels) > 0, "traces that are lost")
        begin = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - begin < 20


SETTINGS = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0", "trace_mode": "triton"}


def plain(client, settings):
    """Trace settings as HTTP shows them."""
    if client.protocol == "http":
        return settings
    values = {name: value["value"] for name, value in settings["settings"].items()}
    return {name: value if name == "trace_level" else value[0] for name, value in values.items()}


@pytest.mark.parametrize("kind", ["http", "grpc", "http.aio", "grpc.aio"])
def test_trace_settings(repository, tmp_path, kind):
    path = str(tmp_path / "t")
    with traced(repository, f"triton,file={path}") as server:
        client = Client(kind, server)
        expected = SETTINGS | {"trace_file": path}
        assert plain(client, client.json("get_trace_settings")) == expected
        change = {"trace_rate": "5", "trace_level": ["TIMESTAMPS"]}
        changed = client.json("update_trace_settings", model_name="simple", settings=change)
        assert plain(client, changed) == expected | change
        assert plain(client, client.json("get_trace_settings", model_name="ens")) == expected
        client.json("update_trace_settings", settings={"trace_rate": "7", "trace_count": "3"})
        assert plain(client, client.json("get_trace_settings", model_name="simple")) == expected | change | {"trace_count": "3"}
        client.json("update_trace_settings", model_name="simple", settings={"trace_rate": None, "trace_level": None})
        assert plain(client, client.json("get_trace_settings", model_name="simple")) == expected | {"trace_rate": "7", "trace_count": "3"}
        client.json("update_trace_settings", settings={"trace_rate": None, "trace_count": None})
        assert plain(client, client.json("get_trace_settings")) == expected
        for settings, text in [
            ({"trace_file": "x"}, "trace file location can not be updated through network protocol"),
            ({"trace_rate": "abc"}, "Unable to parse 'trace_rate', got: abc"),
            ({"trace_level": ["OFF", "TENSORS"]}, "Expect only one trace level 'OFF' is specified"),
            ({"trace_rate": "0", "trace_level": ["TENSORS"]}, "Attempting to set invalid trace setting :sample rate must be non-zero"),
        ]:
            with pytest.raises(InferenceServerException) as refused:
                client.json("update_trace_settings", settings=settings)
            assert text in str(refused.value)
        with pytest.raises(InferenceServerException, match="Request for unknown model : nope"):
            client.json("get_trace_settings", model_name="nope")
        client.close()


@pytest.mark.parametrize("kind", ["http", "grpc", "http.aio", "grpc.aio"])
def test_log_settings(repository, kind):
    with traced(repository) as server:
        client = Client(kind, server)

        def plain_log(settings):
            if client.protocol == "http":
                return settings
            return {name: next(iter(value.values())) for name, value in settings["settings"].items()}

        expected = {
            "log_file": "", "log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
            "log_format": "default",
        }
        assert plain_log(client.json("get_log_settings")) == expected
        change = {"log_info": False, "log_verbose_level": 2, "log_format": "ISO8601"}
        assert plain_log(client.json("update_log_settings", change)) == expected | change
        for settings, text in [
            ({"log_file": "x"}, "log file location can not be updated through network protocol"),
            ({"log_format": "zz"}, "invalid argument for"),
        ]:
            with pytest.raises(InferenceServerException) as refused:
                client.json("update_log_settings", settings)
            assert text in str(refused.value)
        client.close()


def test_extensions_are_named(repository):
    with traced(repository) as server:
        client = triton_grpc.InferenceServerClient(server.grpc)
        assert {"trace", "logging"} <= set(client.get_server_metadata().extensions)


def logged(path):
    """The lines of an access log in JSON, but for those of health."""
    with open(path, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f.read().splitlines()]
    return [line for line in lines if "health" not in line["path"]]


def test_access_log(repository, tmp_path):
    path = tmp_path / "access.log"
    flags = ["--access-log=json", f"--access-log-file={path}"]
    with traced(repository, flags=flags) as server:
        ask(server, "http", request_id='evil"\n{"status":200}\n', headers={"traceparent": PARENT})
        ask(server, "grpc", "simple", request_id="g")
        client = triton_grpc.InferenceServerClient(server.grpc)
        answers = []
        client.start_stream(lambda result, error: answers.append((result, error)))
        inputs = [triton_grpc.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        for tensor in inputs:
            tensor.set_data_from_numpy(A)
        for n in range(3):
            client.async_stream_infer("simple", inputs, request_id=f"s{n}")
        client.stop_stream()
        assert len(answers) == 3
        with pytest.raises(InferenceServerException):
            triton_http.InferenceServerClient(server.http).infer("nope\n", [])
        client.close()
    lines = logged(path)
    by_id = {line.get("request_id"): line for line in lines}
    http = by_id['evil"\n{"status":200}\n']
    assert (http["status"], http["model"], http["version"], http["method"]) == (200, "ens", 1, "POST")
    assert http["path"] == "/v2/models/ens/infer" and http["client"].startswith("127.0.0.1:")
    assert http["request_bytes"] > 128 and http["response_bytes"] > 128
    assert http["trace_id"] == PARENT.split("-")[1]
    phases = [http[f"{name}_us"] for name in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert 0 < http["compute_infer_us"] and sum(phases) <= http["duration_us"]
    rpc = by_id["g"]
    assert (rpc["status"], rpc["grpc_status"], rpc["protocol"]) == (200, 0, "HTTP/2.0")
    assert rpc["path"].endswith("/ModelInfer") and rpc["model"] == "simple" and "trace_id" not in rpc
    streamed = [by_id[f"s{n}"] for n in range(3)]
    assert all(line["path"].endswith("/ModelStreamInfer") and line["request_bytes"] >= 128 for line in streamed)
    assert all(line["response_bytes"] > 128 and line["model"] == "simple" for line in streamed)
    assert {line["grpc_status"] for line in streamed} == {0}
    # The stream as a whole has a line, too.
    assert len([line for line in lines if line["path"].endswith("/ModelStreamInfer")]) == 4
    refused = next(line for line in lines if "nope" in line["path"])
    assert refused["status"] == 404 and "compute_infer_us" not in refused


def test_access_log_for_people(repository):
    with traced(repository, flags=["--access-log=text"]) as server:
        ask(server, "http", "simple", request_id="r 1")
        server.stop()
        (line,) = [line for line in server.log().splitlines() if "/infer" in line]
    assert ' POST "/v2/models/simple/infer" HTTP/1.1 200 ' in line
    assert 'model="simple" version=1 request_id="r 1" queue_us=' in line


@pytest.mark.skipif(platform.machine() != "x86_64", reason="perf_analyzer is there for x86_64 only")
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_sets_traces(repository, tmp_path, eventually, protocol):
    path = tmp_path / "trace.json"
    with traced(repository, f"triton,file={path}") as server:
        options = ["-i", protocol, "--concurrency-range", "1", "-p", "100", "-s", "1000"]
        options += ["--trace-level", "TIMESTAMPS", "--trace-rate", "3", "--trace-count", "4", "--log-frequency", "2"]
        perf_analyzer.analyze("2.40.0", "simple", getattr(server, protocol), options, tmp_path)
        settings = triton_http.InferenceServerClient(server.http).get_trace_settings("simple")
        assert (settings["trace_rate"], settings["trace_count"], settings["log_frequency"]) == ("3", "0", "2")
        eventually(lambda: (tmp_path / "trace.json.1").exists(), "the second file")
    assert [len(objects(f"{path}.{n}")) for n in range(2)] == [2, 2]


def test_the_example_prints_the_tree(repository):
    example = subprocess.Popen(
        [sys.executable, os.path.join(ROOT, "examples", "collector.py"), "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = example.stdout.readline().rsplit(":", 1)[1].strip()
        configs = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=1", f"opentelemetry,url=grpc://127.0.0.1:{port}"]
        with traced(repository, *configs) as server:
            ask(server, "http")
        lines = [example.stdout.readline() for _ in range(8)]
    finally:
        example.kill()
        example.wait()
    names = [line.split()[0] for line in lines]
    assert names == ["trace", "InferRequest", "ens", "simple", "queue", "compute", "simple", "queue"]
