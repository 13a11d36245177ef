"""Replicas behind a real proxy are restarted one after the other while clients ask: no request fails."""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.request

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from clean import ROOT
from conftest import need
from server_process import ServerProcess, kept_ports

REPLICAS = 3
# The proxy asks for the health each second.
FLAGS = ["--drain-delay-secs=8", "--exit-timeout-secs=20"]
CONFIG = os.path.join(ROOT, "deploy", "compose", "haproxy.cfg")


class Replica(ServerProcess):
    """One that comes back on the ports that the proxy knows."""

    def __init__(self, *repositories, **named):
        super().__init__(*repositories, **named)
        self.http_port, self.grpc_port, self.metrics_port = kept_ports(3)

    def restart(self):
        assert self.stop() == 0, self.log()
        return self.start()

    def lost_its_ports(self):
        return False


class Proxy:
    """haproxy with the settings of deploy/compose, and the addresses of these servers."""

    def __init__(self, folder, servers):
        need("haproxy")
        self.http, self.grpc = kept_ports(2)
        self.control = folder / "control"
        with open(CONFIG, encoding="utf-8") as f:
            lines = [line for line in f.read().splitlines() if not line.strip().startswith("server ")]
        text = "\n".join(lines) + "\n"
        text = text.replace("bind :8000", f"bind 127.0.0.1:{self.http}").replace("bind :8001", f"bind 127.0.0.1:{self.grpc}")
        text = text.replace("global\n", f"global\n    stats socket {self.control} mode 600\n")
        http = "".join(f"    server s{i} {server.http}\n" for i, server in enumerate(servers))
        grpc = "".join(f"    server s{i} {server.grpc} proto h2 port {server.http_port}\n" for i, server in enumerate(servers))
        front, behind = text.split("\nbackend grpc\n")
        text = front.rstrip() + "\n" + http + "\nbackend grpc\n" + behind + grpc
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        got = subprocess.run(["haproxy", "-c", "-f", str(folder / "haproxy.cfg")], capture_output=True, text=True, check=False)
        assert got.returncode == 0, got.stderr
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], stderr=subprocess.DEVNULL)

    def states(self):
        """Of each server of each backend, whether the proxy sends it requests."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(b"show stat -1 4 -1\n")
            page = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        rows = [line.split(",") for line in page.splitlines() if line and not line.startswith("#")]
        return {(row[0], row[1]): row[17] for row in rows}

    def wait(self, *, up, name=None):
        deadline = time.monotonic() + 30
        while True:
            try:
                states = {key: state for key, state in self.states().items() if name in (None, key[1])}
                if states and all(state.startswith("UP") == up for state in states.values()):
                    return
            except OSError:
                assert self.process.poll() is None, "haproxy has ended"
            assert time.monotonic() < deadline, states
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def repository(tmp_path):
    """A model that takes 20 ms, so that requests are always under way."""
    folder = tmp_path / "models" / "slow"
    (folder / "1").mkdir(parents=True)
    config = """
        backend: "identity"
        max_batch_size: 8
        input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 4 ] } ]
        output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 4 ] } ]
        parameters { key: "execute_delay_ms" value { string_value: "20" } }
        instance_group [ { count: 4 kind: KIND_CPU } ]
    """
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    return tmp_path / "models"


def keep_asking(module, url, stop, counts, faults):
    data = np.arange(4, dtype=np.int32).reshape(1, 4)
    with module.InferenceServerClient(url) as client:
        while not stop.is_set():
            tensor = module.InferInput("INPUT0", [1, 4], "INT32")
            tensor.set_data_from_numpy(data)
            try:
                reply = client.infer("slow", [tensor])
                assert (reply.as_numpy("OUTPUT0") == data).all()
                counts.append(1)
            except Exception as fault:  # noqa: BLE001 - whatever a client is told counts
                faults.append(fault)


def test_no_request_fails_while_replicas_are_restarted(repository, tmp_path):
    replicas = [Replica(repository, flags=FLAGS).start() for _ in range(REPLICAS)]
    proxy, stop = Proxy(tmp_path, replicas), threading.Event()
    counts, faults, threads = {"http": [], "grpc": []}, [], []
    try:
        proxy.wait(up=True)
        for kind, module, port in (("http", triton_http, proxy.http), ("grpc", triton_grpc, proxy.grpc)):
            for _ in range(4):
                arguments = (module, f"127.0.0.1:{port}", stop, counts[kind], faults)
                threads.append(threading.Thread(target=keep_asking, args=arguments))
        for thread in threads:
            thread.start()
        for number, replica in enumerate(replicas):
            before = replica.pid
            replica.restart()
            assert replica.pid != before
            proxy.wait(up=True, name=f"s{number}")
            # Each has its share of the requests again, before the next one goes.
            deadline = time.monotonic() + 30
            while replica.metric("nv_inference_request_success", model="slow") == 0:
                assert time.monotonic() < deadline, f"no request reaches replica {number}"
                time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        proxy.stop()
        for replica in replicas:
            replica.stop()
    assert faults == []
    assert len(counts["http"]) > 100 and len(counts["grpc"]) > 100


def test_readiness_goes_off_first_and_requests_are_answered_on(repository):
    """What `preStop` is for elsewhere: the server serves on as one that is not ready."""
    # Longer than whatever holds up this test: the server is killed in the end. The restarts above wait for theirs.
    with ServerProcess(repository, flags=["--drain-delay-secs=3600"]) as server:
        server.process.terminate()
        deadline = time.monotonic() + 10
        while server.get("/v2/health/ready")[0] == 200:
            assert time.monotonic() < deadline
        assert server.get("/v2/health/ready")[0] == 400
        # Whoever has not noticed is still answered.
        body = {"inputs": [{"name": "INPUT0", "datatype": "INT32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        url = f"http://{server.http}/v2/models/slow/infer"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as reply:
            assert json.load(reply)["outputs"][0]["data"] == [1, 2, 3, 4]
        assert server.alive()
        server.process.kill()
