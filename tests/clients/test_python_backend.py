"""Models of Triton's Python backend: its own library and stubs, in this server."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading

import numpy as np
import pytest
import tritonclient.grpc as grpc
from conftest import ROOT
from python_models import BACKENDS, add, ended, infer, model_of, names_regions, prefix, regions, start, stubs, wait_until
from server_process import BINARY, ServerProcess
from tritonclient.utils import InferenceServerException


def test_an_edit_of_model_py_is_served(tmp_path):
    code = os.path.join(model_of(str(tmp_path), "edited", "add_sub"), "1", "model.py")
    with start(str(tmp_path), "--model-control-mode=poll", "--repository-poll-secs=1") as server:
        client = grpc.InferenceServerClient(server.grpc)
        # What Python writes beside the model is no change: it was loaded once.
        assert "it changed while it was loaded" not in server.log()
        assert add(client, "edited", 3) == [[6, 12]]
        with open(code, encoding="utf-8") as f:
            text = f.read()
        with open(code, "w", encoding="utf-8") as f:
            f.write(text.replace("a + b", "a + b + 1"))
        wait_until(lambda: add(client, "edited", 3) == [[7, 13]], "the edit")
        client.close()


def test_the_example_runs():
    command = [os.path.join(ROOT, "examples", "python-backend", "run"), BINARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(OUTPUT\d) FP32 \[1,3\]\n +(\S+) +(\S+) +(\S+)\n", done.stdout)
    assert found == [("OUTPUT0", "11", "22", "33"), ("OUTPUT1", "-9", "-18", "-27")], done.stdout


def test_stubs_inherit_no_socket(tmp_path):
    model_of(str(tmp_path), "add_sub", "add_sub")
    with start(str(tmp_path)) as server:
        (pid,) = stubs(server)
        kinds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
        assert not [kind for kind in kinds if kind.startswith("socket:")], kinds


def test_a_server_that_is_killed_leaves_nothing_behind_the_next_start(tmp_path, prefix):
    model_of(str(tmp_path), "add_sub", "add_sub")
    server = start(str(tmp_path), names_regions(prefix)).start()
    (pid,) = stubs(server)
    # A stub that does not notice that its server has gone.
    os.kill(pid, signal.SIGSTOP)
    server.process.kill()
    server.process.wait()
    left = regions(prefix)
    # The mark and the region.
    assert len(left) >= 2, left
    with start(str(tmp_path), names_regions(prefix)) as again:
        client = grpc.InferenceServerClient(again.grpc)
        assert add(client, "add_sub", 1) == [[2, 4]]
        client.close()
        wait_until(lambda: ended(pid), "the end of the old stub")
        assert "a server was killed" in again.log()
        assert not left & regions(prefix)
    assert not regions(prefix)


def test_another_server_that_lives_is_left_alone(tmp_path):
    model_of(str(tmp_path), "add_sub", "add_sub")
    with start(str(tmp_path)) as first:
        mine = stubs(first)
        with start(str(tmp_path)):
            pass
        assert stubs(first) == mine
        client = grpc.InferenceServerClient(first.grpc)
        assert add(client, "add_sub", 1) == [[2, 4]]
        client.close()


def test_an_environment_of_its_own(tmp_path):
    """EXECUTION_ENV_PATH names a copy of the environment with a package more."""
    environment = str(tmp_path / "environment")
    shutil.copytree(os.path.join(BACKENDS, "python", "environment"), environment, symlinks=True)
    # The path is written in there.
    activate = os.path.join(environment, "bin", "activate")
    with open(activate, "w", encoding="utf-8") as f:
        f.write(f"export VIRTUAL_ENV='{environment}'\nexport PATH=\"$VIRTUAL_ENV/bin:$PATH\"\n")
    (packages,) = [os.path.join(environment, "lib", n, "site-packages") for n in os.listdir(environment + "/lib") if n[:6] == "python"]
    with open(os.path.join(packages, "only_here.py"), "w", encoding="utf-8") as f:
        f.write("VALUE = 5\n")
    model = model_of(str(tmp_path / "models"), "add_sub", "add_sub")
    with open(os.path.join(model, "config.pbtxt"), "a", encoding="utf-8") as f:
        f.write(f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{environment}" }} }}\n')
    code = os.path.join(model, "1", "model.py")
    with open(code, encoding="utf-8") as f:
        text = f.read()
    with open(code, "w", encoding="utf-8") as f:
        f.write("import only_here\n" + text.replace("a + b", "a + b + only_here.VALUE"))
    with start(str(tmp_path / "models")) as server:
        client = grpc.InferenceServerClient(server.grpc)
        assert add(client, "add_sub", 1) == [[7, 9]]
        client.close()


@pytest.mark.parametrize("what", ["missing", "libpython", "hangs"])
def test_a_stub_that_cannot_start_is_told(tmp_path, what):
    backends = tmp_path / "backends"
    python = backends / ".pytriton" / "pytriton" / "tritonserver" / "backends" / "python"
    shutil.copytree(os.path.join(BACKENDS, ".pytriton"), backends / ".pytriton", symlinks=True)
    os.symlink(os.path.relpath(python, backends), backends / "python")
    stub = python / "triton_python_backend_stub"
    stub.unlink()
    if what == "libpython":
        # Nothing has the libpython of this one.
        shutil.copy(python.parent.parent / "python_backend_stubs" / "3.8" / "triton_python_backend_stub", stub)
    if what == "hangs":
        stub.write_text("#!/bin/sh\nexit 7\n")
        stub.chmod(0o755)
    expected = {"missing": "triton_python_backend_stub is not found", "libpython": "libpython3.8", "hangs": "exit status: 7"}
    model_of(str(tmp_path / "models"), "add_sub", "add_sub")
    flags = [f"--backend-directory={backends}", "--strict-readiness=false", "--exit-on-error=false"]
    server = ServerProcess(str(tmp_path / "models"), flags=flags, ready=False, variables={"LD_LIBRARY_PATH": ""})
    with server:
        wait_until(lambda: "add_sub" in server.log() and expected[what] in server.log(), "an error that says what helps")


def test_tune_leaves_no_stub_that_holds_its_output_open(tmp_path):
    model_of(str(tmp_path), "add_sub", "add_sub")
    command = [BINARY, "tune", "add_sub", "--dry-run", "--max-instances=2", "--only=instances", f"--model-repository={tmp_path}"]
    command += [f"--backend-directory={BACKENDS}", "--seconds=0.05"]
    command += [f"--shape=INPUT{number}:1,4" for number in (0, 1)]
    # Reads both pipes to their ends before it asks for the status: as long as that is not asked for, stubs take the process for alive.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "a second" in done.stdout


def test_a_local_bench_leaves_no_stub_that_holds_its_output_open(tmp_path):
    model_of(str(tmp_path), "add_sub", "add_sub")
    command = [BINARY, "bench", "add_sub", "--local", "--requests=20", "--warm-up=0", f"--model-repository={tmp_path}"]
    command += [f"--backend-directory={BACKENDS}", *(f"--shape=INPUT{number}:1,4" for number in (0, 1))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "in process" in done.stdout and "gRPC" in done.stdout, done.stdout
    assert "Non-graceful" not in done.stderr, done.stderr


@pytest.mark.parametrize("what", ["models", "backends", "environment"])
def test_a_path_that_a_shell_would_cut_is_told_with_its_cure(tmp_path, what):
    """The backend names paths to a shell without quotes, so that a stub of such a path gets other arguments than its own."""
    models, backends = tmp_path / "my models", tmp_path / "my backends"
    plain = {"models": tmp_path / "models", "backends": BACKENDS}
    os.symlink(BACKENDS, backends)
    os.symlink(models, plain["models"])
    config = os.path.join(model_of(str(models), "add_sub", "add_sub"), "config.pbtxt")
    given = {**plain, what: {"models": models, "backends": backends}.get(what)} if what != "environment" else plain
    with open(config, "a", encoding="utf-8") as f:
        if what == "environment":
            os.makedirs(tmp_path / "an environment" / "bin")
            (tmp_path / "an environment" / "bin" / "activate").write_text("")
            f.write(f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{tmp_path}/an environment" }} }}\n')
    command = [BINARY, "check", given["models"], f"--backend-directory={given['backends']}"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 1 and "has a space in it" in checked.stdout and "reach it by a link" in checked.stdout, checked.stdout
    flags = [f"--backend-directory={given['backends']}", "--strict-readiness=false", "--exit-on-error=false"]
    with ServerProcess(given["models"], flags=flags, ready=False, timeout=120) as server:
        wait_until(lambda: "has a space in it, and the Python backend names it to a shell" in server.log(), "an error that says what helps")
        assert server.log().count("ended while it started") == 0
    if what == "models":
        # As the error says, by a link.
        with start(str(plain["models"])) as server:
            client = grpc.InferenceServerClient(server.grpc)
            assert add(client, "add_sub", 1) == [[2, 4]]
            client.close()


def test_a_client_that_goes_is_seen_by_the_model(tmp_path, eventually):
    model_of(str(tmp_path), "patient", "patient")
    with start(str(tmp_path)) as server:

        def seen():
            client, found = grpc.InferenceServerClient(server.grpc), []
            client.start_stream(lambda result, error: found.append((result, error)))
            given = grpc.InferInput("WHAT", [1], "BYTES")
            given.set_data_from_numpy(np.array([b"seen"], dtype=np.object_))
            client.async_stream_infer("patient", [given])
            wait_until(lambda: found, "an answer")
            client.close()
            return found[0][0].as_numpy("SEEN").tolist()

        client = grpc.InferenceServerClient(server.grpc)
        client.start_stream(lambda result, error: None)
        given = grpc.InferInput("WHAT", [1], "BYTES")
        given.set_data_from_numpy(np.array([b"wait"], dtype=np.object_))
        client.async_stream_infer("patient", [given])
        eventually(lambda: seen()[0] == 1, "the request")
        client.stop_stream(cancel_requests=True)
        eventually(lambda: seen()[1] == 1, "the cancellation")
        client.close()


def test_a_killed_stub_is_replaced_and_its_neighbours_answer(tmp_path, prefix):
    """Kills at random, under load: every request is answered, rightly or with an error, and in the end rightly."""
    model_of(str(tmp_path), "eight", "eight")
    random_of = random.Random(16)
    with start(str(tmp_path), names_regions(prefix)) as server:
        done, wrong, failed, answered = threading.Event(), [], [], []

        def load(first):
            client = grpc.InferenceServerClient(server.grpc)
            value = first
            while not done.is_set():
                value += 16
                try:
                    out = infer(client, "eight", {"IN": ("INT64", [1], [value])}).as_numpy("OUT").tolist()
                    answered.append(value)
                    if out != [2 * value]:
                        wrong.append((value, out))
                except InferenceServerException as error:
                    failed.append(error.message())
            client.close()

        threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(16)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(12):
                alive = stubs(server)
                if alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(random_of.choice(sorted(alive)), signal.SIGKILL)
                count = len(answered)
                wait_until(lambda: len(answered) > count + 50, "50 more answers", 60)
            wait_until(lambda: len(stubs(server)) == 8, f"eight stubs again\n{server.log()[-3000:]}", 60)
        finally:
            done.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a request got no answer"
        assert not wrong
        assert server.alive(), server.log()[-4000:]
        client = grpc.InferenceServerClient(server.grpc)
        for value in range(50):
            assert infer(client, "eight", {"IN": ("INT64", [1], [value])}).as_numpy("OUT").tolist() == [2 * value]
        client.close()
    assert not regions(prefix)


def test_loads_and_unloads_leave_nothing(tmp_path, prefix):
    """The first rounds make what stays: threads that are kept for the next, tables, connections."""
    names = [f"add_{n}" for n in range(4)]
    for name in names:
        model_of(str(tmp_path), name, "add_sub")
    with start(str(tmp_path), names_regions(prefix), "--model-control-mode=explicit") as server:
        clients = {name: grpc.InferenceServerClient(server.grpc) for name in names}
        failed = []

        def once(name):
            try:
                clients[name].load_model(name)
                assert add(clients[name], name, 3) == [[6, 12]]
                clients[name].unload_model(name)
            except (AssertionError, InferenceServerException) as error:
                failed.append(error)

        def rounds(count):
            for _ in range(count):
                threads = [threading.Thread(target=once, args=(name,), daemon=True) for name in names]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(120)
                    assert not thread.is_alive(), "a load or an unload did not end"
                assert not failed, failed
            # An unload is answered when no request finds the model any more.
            wait_until(lambda: not stubs(server) and len(regions(prefix)) == 1, "the end of all stubs, and of all regions but for the mark")

        def files():
            return len(os.listdir(f"/proc/{server.pid}/fd"))

        rounds(3)
        before = files()
        threads, memory = server.status_kib("Threads"), server.status_kib("VmRSS")
        rounds(6)
        wait_until(lambda: files() <= before, f"no more than {before} open files")
        wait_until(lambda: server.status_kib("Threads") <= threads + 8, f"no more than {threads} threads and some that are kept")
        assert server.status_kib("VmRSS") <= memory + 8 * 1024
        for client in clients.values():
            client.close()
    assert not regions(prefix)


def test_paths_hold_while_the_backend_unpacks_an_environment(tmp_path):
    # It works in another folder meanwhile.
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "activate").write_text('export PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd):$PATH"\n', encoding="utf-8")
    own = os.path.realpath(os.path.join(BACKENDS, "python", "environment"))
    shutil.copytree(os.path.join(own, "lib"), environment / "lib", symlinks=False)
    os.symlink(os.path.realpath(os.path.join(own, "bin", "python3")), environment / "bin" / "python3")
    shutil.copy(os.path.join(own, "pyvenv.cfg"), environment)
    model = model_of(str(tmp_path / "models"), "packed", "add_sub")
    archive = os.path.join(model, "environment.tar.gz")
    subprocess.run(["tar", "-C", environment, "-czf", archive, "."], check=True)
    with open(os.path.join(model, "config.pbtxt"), "a", encoding="utf-8") as f:
        value = "$$TRITON_MODEL_DIRECTORY/environment.tar.gz"
        f.write(f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{value}" }} }}\n')
    others = [f"other_{n}" for n in range(4)]
    for name in others:
        model_of(str(tmp_path / "models"), name, "add_sub")
    # As somebody writes it who is in a folder beside it.
    with start(os.path.relpath(tmp_path / "models")) as server:
        client = grpc.InferenceServerClient(server.grpc)
        for name in ["packed", *others]:
            assert add(client, name, 3) == [[6, 12]]
        client.close()
