"""TLS and mutual TLS on all ports, certificates that change while clients are served, and faults of their files."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import warnings

import grpc
import numpy as np
import perf_analyzer
import pytest
import tritonclient.grpc
import tritonclient.http
from certificates import Authority
from cryptography.hazmat.primitives.asymmetric import ed25519
from server_process import ServerProcess
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

PORTS = ("http", "grpc", "metrics")
MODELS = ("simple", "identity_fp32")


def tls_flags(pair, mutual_root=None):
    flags = []
    for port in PORTS:
        flags += [f"--{port}-use-ssl=true", f"--{port}-server-cert={pair[0]}", f"--{port}-server-key={pair[1]}"]
        if mutual_root:
            flags += [f"--{port}-use-ssl-mutual=true", f"--{port}-root-cert={mutual_root}"]
    return flags


def process(repository, flags, context):
    always = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in MODELS)]
    return ServerProcess(repository[0], flags=[*always, *flags], context=context)


class Secured:
    """A server with TLS, and what its clients need."""

    def __init__(self, server, authority, pair):
        self.server, self.authority, self.pair = server, authority, pair

    def client(self, protocol):
        """tritonclient with the options that its users have."""
        key = {"keyfile": self.pair[1], "certfile": self.pair[0]} if self.pair else {}
        if protocol == "http":
            options = {"ca_certs": self.authority.root, **key}
            return tritonclient.http.InferenceServerClient(self.server.http, ssl=True, ssl_options=options)
        return tritonclient.grpc.InferenceServerClient(
            self.server.grpc,
            ssl=True,
            root_certificates=self.authority.root,
            private_key=key.get("keyfile"),
            certificate_chain=key.get("certfile"),
        )

    def channel(self):
        read = lambda path: open(path, "rb").read()
        pair = (read(self.pair[1]), read(self.pair[0])) if self.pair else (None, None)
        return grpc.secure_channel(self.server.grpc, grpc.ssl_channel_credentials(read(self.authority.root), *pair))


@pytest.fixture(scope="module", params=["tls", "mutual"])
def secured(request, repository, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    pair = authority.sign("server", "server")
    of_client = authority.sign("client", "client") if request.param == "mutual" else None
    root = authority.root if of_client else None
    with process(repository, tls_flags(pair, root), authority.context(of_client)) as server:
        yield Secured(server, authority, of_client)
        assert server.alive()


def infer(client, module, size=16):
    values = np.arange(size, dtype=np.float32)
    tensor = module.InferInput("INPUT0", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    answer = client.infer("identity_fp32", [tensor]).as_numpy("OUTPUT0")
    assert np.array_equal(answer, values)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("size", [16, 1 << 21])
def test_tritonclient_infers_over_tls(secured, protocol, size):
    client = secured.client(protocol)
    for _ in range(3):
        infer(client, getattr(tritonclient, protocol), size)
    client.close()


def test_the_metrics_have_tls_too(secured):
    assert secured.server.metric("nv_server_connections", port="metrics") >= 1
    with pytest.raises((OSError, http.client.HTTPException)):
        link = http.client.HTTPConnection(secured.server.metrics, timeout=10)
        link.request("GET", "/metrics")
        link.getresponse()


def test_a_client_without_a_certificate_is_refused_where_one_is_needed(secured):
    context = secured.authority.context()
    link = http.client.HTTPSConnection(secured.server.http, timeout=10, context=context)
    if secured.pair is None:
        link.request("GET", "/v2/health/live")
        assert link.getresponse().status == 200
        return
    # With TLS 1.3 the client learns of it when it reads.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        link.request("GET", "/v2/health/live")
        link.getresponse()
    stranger = Authority(secured.authority.folder, "stranger")
    context = secured.authority.context(stranger.sign("client", "stranger-client"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        link = http.client.HTTPSConnection(secured.server.http, timeout=10, context=context)
        link.request("GET", "/v2/health/live")
        link.getresponse()


def test_old_versions_of_tls_are_refused(secured):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(secured.authority.root)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", secured.server.http_port)) as plain:
            context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize(
    ("flag", "version"), [("--http1.1", "1.1"), ("--http2", "2"), ("--http2-prior-knowledge", "2")]
)
def test_curl_chooses_its_protocol(secured, flag, version):
    command = ["curl", "-sS", flag, "--cacert", secured.authority.root, "-w", "%{http_version}", "-o", "/dev/null"]
    if secured.pair:
        command += ["--cert", secured.pair[0], "--key", secured.pair[1]]
    url = f"https://localhost:{secured.server.http_port}/v2/health/ready"
    done = subprocess.run([*command, "--resolve", f"localhost:{secured.server.http_port}:127.0.0.1", url], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, version), done.stderr


@pytest.mark.parametrize("version", ["2.34.0", "2.40.0"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_measures_over_tls(secured, protocol, version, tmp_path):
    root, pair = secured.authority.root, secured.pair
    if protocol == "grpc":
        options = ["-i", "grpc", "--ssl-grpc-use-ssl", "--ssl-grpc-root-certifications-file", root]
        if pair:
            options += ["--ssl-grpc-private-key-file", pair[1], "--ssl-grpc-certificate-chain-file", pair[0]]
        address = secured.server.grpc
    else:
        options = ["-i", "http", "--ssl-https-ca-certificates-file", root, "--ssl-https-verify-peer", "1"]
        options += ["--ssl-https-verify-host", "2"]
        if pair:
            options += ["--ssl-https-client-certificate-file", pair[0], "--ssl-https-client-certificate-type", "PEM"]
            options += ["--ssl-https-private-key-file", pair[1], "--ssl-https-private-key-type", "PEM"]
        address = f"https://localhost:{secured.server.http_port}"
    windows = ["--concurrency-range", "4", "-p", "100", "-s", "1000"]
    rows = perf_analyzer.analyze(version, "simple", address, [*options, *windows], tmp_path)
    assert float(rows[0]["Inferences/Second"]) > 0


def serial(server, authority):
    """The serial number of the certificate that a new connection gets."""
    with socket.create_connection(("127.0.0.1", server.http_port)) as plain:
        with authority.context().wrap_socket(plain, server_hostname="localhost") as link:
            return link.getpeercert()["serialNumber"]


def test_a_new_certificate_is_taken_and_no_connection_is_lost(repository, tmp_path, eventually):
    authority = Authority(tmp_path)
    pair = authority.sign("server", "server")
    with process(repository, tls_flags(pair), authority.context()) as server:
        secured = Secured(server, authority, None)
        before = serial(server, authority)
        kept = http.client.HTTPSConnection(server.http, timeout=10, context=authority.context())
        kept.request("GET", "/v2/health/ready")
        assert kept.getresponse().read() is not None
        kept_socket = kept.sock
        requests, release = iter_with_end()
        stub = service_pb2_grpc.GRPCInferenceServiceStub(secured.channel())
        stream = stub.ModelStreamInfer(requests)
        release.put(request())
        assert next(stream).infer_response.model_name == "identity_fp32"
        authority.sign("server", "server")
        eventually(lambda: serial(server, authority) != before, "the new certificate")
        # Both go on where they were.
        kept.request("GET", "/v2/health/ready")
        assert kept.getresponse().status == 200 and kept.sock is kept_socket
        release.put(request())
        assert next(stream).infer_response.model_name == "identity_fp32"
        release.put(None)
        assert not list(stream)
        # A key that belongs to another certificate changes nothing, and is said.
        after = serial(server, authority)
        shutil.copy(authority.sign("other", "other")[1], pair[1])
        eventually(lambda: "the key does not belong to the certificate" in server.log(), "the fault")
        assert serial(server, authority) == after
        for protocol in ("http", "grpc"):
            infer(secured.client(protocol), getattr(tritonclient, protocol))


def request():
    values = np.arange(4, dtype=np.float32)
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="INPUT0", datatype="FP32", shape=[4])
    return service_pb2.ModelInferRequest(
        model_name="identity_fp32", inputs=[tensor], raw_input_contents=[values.tobytes()]
    )


def iter_with_end():
    """An iterator for a stream, and the queue that feeds it; None ends it."""
    import queue

    waiting = queue.Queue()
    return iter(waiting.get, None), waiting


def start_fails(repository, flags):
    """What the server says when it does not start."""
    server = process(repository, flags, None)
    server.launch()
    try:
        assert server.process.wait(30) != 0
        return server.log()
    finally:
        server.stop()


def test_a_key_that_clients_of_grpc_refuse_is_logged(repository, tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.sign("server", "server", ed25519.Ed25519PrivateKey.generate())
    context = ssl.create_default_context(cafile=authority.root)
    with process(repository, tls_flags((cert, key)), context) as server:
        warnings_of_keys = [line for line in server.log().splitlines() if "Ed25519" in line]
        assert len(warnings_of_keys) == 1 and "--grpc-server-key" in warnings_of_keys[0]
        # Others do take it.
        assert server.get("/v2/health/ready")[0] == 200
        assert server.get("/metrics", server.metrics_port)[0] == 200


def test_faults_at_start_say_what_helps(repository, tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.sign("server", "server")
    other = authority.sign("other", "other")[1]
    garbage = str(tmp_path / "garbage.pem")
    with open(garbage, "w", encoding="ascii") as f:
        f.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = str(tmp_path / "missing.pem")
    for pair, expected in [
        ((missing, key), f"--http-server-cert={missing} cannot be used: No such file"),
        ((cert, missing), f"--http-server-key={missing} cannot be used: No such file"),
        ((cert, other), "the key does not belong to the certificate; `openssl x509"),
        ((key, cert), "are the two files swapped?"),
        ((garbage, key), "the certificate is not valid"),
        ((os.devnull, key), "expected a regular file"),
    ]:
        assert expected in start_fails(repository, tls_flags(pair))
    assert "--grpc-root-cert=FILE" in start_fails(repository, ["--grpc-use-ssl-mutual=true", f"--grpc-server-cert={cert}", f"--grpc-server-key={key}"])


def test_a_client_that_speaks_no_tls_ends_nothing(secured):
    for hello in (b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 70000, b"\x80\x2e\x01"):
        for port in (secured.server.http_port, secured.server.grpc_port):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
                try:
                    link.sendall(hello)
                    while link.recv(4096):
                        pass
                except ConnectionError:
                    pass
    for protocol in ("http", "grpc"):
        infer(secured.client(protocol), getattr(tritonclient, protocol))


def test_a_wrong_root_is_found_by_the_client(secured):
    stranger = Authority(secured.authority.folder, "stranger")
    client = tritonclient.grpc.InferenceServerClient(
        secured.server.grpc, ssl=True, root_certificates=stranger.root
    )
    with pytest.raises(InferenceServerException):
        client.get_server_metadata(client_timeout=5)
