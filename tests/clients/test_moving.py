"""`hippocamp migrate`, `completions` and `top`: what they print is tried, by a shell, by the server, in a terminal."""

import fcntl
import http.server
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time

import numpy as np
import pytest
import tritonclient.http as triton_http
from server_process import BINARY, ServerProcess

DOCKER = """docker run --gpus=all --rm -it --shm-size=1g --ulimit memlock=-1 -p8000:8000 -v /models:/models \\
    nvcr/tritonserver:24.10-py3 \\
    tritonserver --model-repository={models} --http-thread-count 8 --model-control-mode explicit --load-model=simple \\
        --cache-config=local,size=1048576 --log-verbose=1 --allow-sagemaker=false
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: triton}}
spec:
  template:
    spec:
      containers:
        - name: triton
          image: nvcr/tritonserver:24.10-py3
          command: [/bin/sh, -c]
          args: ["pip install numpy; exec tritonserver --model-repository={models} --strict-readiness=true --http-prot=1"]
          livenessProbe: {{exec: {{command: [curl, localhost]}}}}
"""


def hippocamp(*arguments, text=None, status=0):
    got = subprocess.run([BINARY, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert got.returncode == status, got.stdout + got.stderr
    return got.stdout


def test_the_new_command_of_docker_run_starts_this_server(repository):
    told = hippocamp("migrate", "-", text=DOCKER.format(models=repository[0]))
    for line in (r"dropped +--http-thread-count 8 ", r"dropped +--ulimit memlock=-1 ", r"kept +--gpus=all ", r"dropped +--allow-sagemaker=false "):
        assert re.search(line, told), told
    # shlex does not join the lines as a shell does.
    new = shlex.split(told.partition("the new command\n\n")[2].partition("\n\n")[0].replace("\\\n", " "))
    image = next(place for place, word in enumerate(new) if word.startswith("hippocamp-cuda:"))
    assert new[:2] == ["docker", "run"] and "--ulimit" not in new
    flags = [flag for flag in new[image + 1 :] if not flag.startswith("--model-repository=")]
    assert len(flags) == 4
    with ServerProcess(repository[0], flags=flags) as server:
        assert server.get("/v2/models/simple/ready")[0] == 200


def test_what_has_no_counterpart_is_told_and_is_the_status(tmp_path):
    manifest = tmp_path / "deployment.yaml"
    manifest.write_text(DEPLOYMENT.format(models="/models"), encoding="utf-8")
    told = hippocamp("migrate", str(manifest), status=1)
    assert "UNSUPPORTED  pip install numpy" in told
    assert re.search(r"UNSUPPORTED  --http-prot=1 +no such flag; there is --http-port", told), told
    assert 'args: ["--model-repository=/models","--strict-readiness=true"]' in told
    assert "readinessProbe: {httpGet: {path: /v2/health/ready, port: 8000}}" in told
    assert "UNSUPPORTED  --cache-config=redis,host=h" in hippocamp("migrate", "tritonserver", "--model-repository=/m", "--cache-config=redis,host=h", status=1)
    assert re.search("UNSUPPORTED  --model-repository +lacks its value", hippocamp("migrate", "tritonserver", "--model-repository", status=1))
    got = subprocess.run([BINARY, "migrate", "docker", "run", "nginx"], capture_output=True, text=True, check=False)
    assert got.returncode == 2 and "no command comes behind the image 'nginx'" in got.stderr


def test_bash_completes_flags_and_commands():
    script = """
        source <({binary} completions bash)
        function ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _hippocamp hippocamp "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"; echo "${{COMPREPLY[@]}}"; }}
        ask hippocamp --model-r
        ask hippocamp mig
        ask hippocamp check --dry
    """
    got = subprocess.run(["bash", "-c", script.format(binary=BINARY)], capture_output=True, text=True, check=True)
    flag, command, of_check = got.stdout.splitlines()
    assert flag == "--model-repository" and command == "migrate" and of_check == "--dry-run", got.stdout + got.stderr


def test_bash_completes_the_value_behind_an_equals_sign():
    script = """
        source <({binary} completions bash)
        [[ "$(complete -p hippocamp)" == *"-F _hippocamp_values "* ]] || exit 1
        function ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); local cur="${{COMP_WORDS[-1]}}"; [[ "$cur" == "=" ]] && cur=""
            _hippocamp_values hippocamp "$cur" "${{COMP_WORDS[-2]}}"; echo "${{COMPREPLY[@]}}"; }}
        ask hippocamp --model-control-mode =
        ask hippocamp --model-control-mode = e
        ask hippocamp --http-port = 1 --model-control-mode = p
        ask hippocamp --model-control-mode=n
        ask hippocamp --model-control-mode n
        ask hippocamp --model-control-m
    """
    got = subprocess.run(["bash", "-c", script.format(binary=BINARY)], capture_output=True, text=True, check=True)
    values, explicit, poll, joined, apart, flag = got.stdout.splitlines()
    assert set(values.split()) == {"none", "explicit", "poll"}, got.stdout
    assert (explicit, poll, joined, apart) == ("explicit", "poll", "--model-control-mode=none", "none")
    assert flag == "--model-control-mode"


def test_bash_completes_on_a_terminal():
    """Where bash itself says which words there are."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**os.environ, "TERM": "dumb", "PS1": "> "})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    shown = b""
    try:
        # The quotation marks keep the echo of the line from being taken for the answer.
        os.write(terminal, f"source <({shlex.quote(BINARY)} completions bash); echo so''urced\n".encode())
        for wanted, keys in ((b"sourced", b"hippocamp --http-port=1 --model-control-mode=ex\t"), (b"--model-control-mode=explicit ", b"\x15exit\n")):
            deadline = time.monotonic() + 30
            while wanted not in shown:
                assert time.monotonic() < deadline, shown[-1500:]
                if select.select([terminal], [], [], 0.05)[0]:
                    shown += os.read(terminal, 65536)
            os.write(terminal, keys)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def test_the_manual_has_every_flag_of_the_help():
    page = hippocamp("man").replace("\\-", "-")
    flags = set(re.findall(r"^ +(--[a-z0-9-]+)", hippocamp("--help").partition("Examples:")[0], re.MULTILINE))
    assert len(flags) > 80
    assert not {flag for flag in flags if flag not in page}


@pytest.fixture(scope="module")
def busy(repository):
    """A server whose model `simple` has answered some requests a moment ago, again and again."""
    flags = ["--model-control-mode=explicit", "--load-model=simple"]
    with ServerProcess(repository[0], flags=flags) as server, triton_http.InferenceServerClient(server.http) as client:
        data = np.zeros((1, 16), dtype=np.int32)
        tensors = [triton_http.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        for tensor in tensors:
            tensor.set_data_from_numpy(data)
        server.ask = lambda: client.infer("simple", tensors)
        yield server


class Page(http.server.ThreadingHTTPServer):
    """The page of metrics of a server: each look at it waits until it is let through."""

    daemon_threads = True

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), Look)
        self.of, self.first, self.looks = server, threading.Event(), [threading.Event(), threading.Event()]
        self.address = f"127.0.0.1:{self.server_port}"
        self.looks[0].set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Look(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.looks.pop(0).wait(60)
        status, page = self.server.of.get("/metrics", self.server.of.metrics_port)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(page)
        self.server.first.set()

    def log_message(self, *_):
        pass


def test_top_prints_a_table_for_scripts(busy):
    busy.ask()
    with Page(busy) as page:
        command = [BINARY, "top", page.address, "--count=1", "--interval=1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            second = page.looks[1]
            assert page.first.wait(60)
            # All of them are between the two looks.
            for _ in range(20):
                busy.ask()
            second.set()
            table = process.stdout.read()
        page.shutdown()
    (row,) = [line.split() for line in table.splitlines() if line.startswith("simple 1 ")]
    # In a second or more.
    assert 0 < float(row[2]) <= 20 and float(row[3]) == 0, table
    # Mean and p99 of a request, in milliseconds: no request took longer than the test.
    assert 0 < float(row[6]) < 60_000 and 0 < float(row[7]), table
    assert f"{page.address}  " in table and "connections" in table, table


def test_top_keeps_a_table_on_the_terminal_and_leaves_it_in_order(busy):
    process, terminal = pty.fork()
    if process == 0:
        os.execv(BINARY, [BINARY, "top", busy.metrics, "--interval=0.2"])
    # Wide enough for the charts.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    shown = b""

    def until(wanted):
        nonlocal shown
        deadline = time.monotonic() + 20
        while not wanted(shown):
            assert time.monotonic() < deadline, shown[-1500:]
            busy.ask()
            if select.select([terminal], [], [], 0.05)[0]:
                shown += os.read(terminal, 65536)

    try:
        until(lambda text: b"simple 1" in text and "█".encode() in text)
        assert shown.startswith(b"\x1b[?1049h")
        os.write(terminal, b"n")
        # The next table is in the order of names.
        tables = shown.count(b"\x1b[H")
        until(lambda text: text.count(b"\x1b[H") > tables + 1)
        os.write(terminal, b"q")
        until(lambda text: text.endswith(b"\x1b[?1049l"))
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        process = None
    finally:
        if process is not None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        os.close(terminal)


def test_top_scrolls_to_models_that_do_not_fit(server):
    process, terminal = pty.fork()
    if process == 0:
        os.execv(BINARY, [BINARY, "top", server.metrics, "--interval=0.2", "--sort=name"])
    # One line for models, and one that counts the others.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 80, 0, 0))
    shown = b""

    def until(pattern):
        nonlocal shown
        deadline = time.monotonic() + 30
        while not re.search(pattern, shown):
            assert time.monotonic() < deadline, shown[-1500:]
            if select.select([terminal], [], [], 0.05)[0]:
                shown += os.read(terminal, 65536)

    try:
        until(rb"PgDn; q ends[^$]* more: 0 above, [1-9]\d* below")
        os.write(terminal, b"\x1b[6~\x1b[B")
        until(rb" more: 2 above")
        shown = b""
        os.write(terminal, b"\x1b[F")
        until(rb" more: [1-9]\d* above, 0 below")
        shown = b""
        os.write(terminal, b"g")
        until(rb" more: 0 above")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def test_top_tells_what_does_not_answer(busy):
    got = subprocess.run([BINARY, "top", "127.0.0.1:1", "--count=1"], capture_output=True, text=True, check=False)
    assert got.returncode == 2 and "127.0.0.1:1 does not answer" in got.stderr
    # The port of HTTP has no metrics.
    got = subprocess.run([BINARY, "top", busy.http, "--count=1"], capture_output=True, text=True, check=False)
    assert got.returncode == 2 and "--metrics-port" in got.stderr


def test_whoever_asks_for_help_or_writes_a_wrong_word_is_told_the_commands():
    def said(*arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=False)

    help_ = said("--help").stdout
    assert said("help").stdout == help_
    assert said("help", "check").stdout == said("check", "--help").stdout
    commands = re.findall(r"^  hippocamp ([a-z]+)(?: |$)", help_.partition("Instead of serving")[2], re.MULTILINE)
    assert {"check", "tune", "top", "man"} <= set(commands)
    for word in ("serve", "bash"):
        wrong = said(word, "--model-repository=models")
        assert wrong.returncode == 2 and f"no command '{word}'" in wrong.stderr
        assert all(command in wrong.stderr for command in commands)
    # Each has a page of the manual, and no line of the help is broken where it was broken already.
    assert said("man").stdout.count("hippocamp\\-") >= len(commands) - 1
    for line in re.split(r"\n(?:Environment|Signals):\n", help_)[1].splitlines():
        assert line.startswith("  "), line
