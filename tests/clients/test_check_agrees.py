"""What `hippocamp check` says is what a start does: over a table of sound and faulty repositories.

Each repository is checked and then served. Status 0 stands for a server that gets ready, any other for one that ends.
"""

import itertools
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from models import add_sub
from server_process import BINARY, LIBRARY, ServerProcess

FLAG = f"--backend-config=onnxruntime,library={LIBRARY}"
FP32 = "data_type: TYPE_FP32 dims: [ 4 ]"
ZEROS = 'inputs { key: "INPUT0" value { %s zero_data: true } }'


def plain(*more, backend="identity", batch=8, input_=FP32, output=FP32):
    """A config of one input and one output."""
    return f"""backend: "{backend}" max_batch_size: {batch}
input {{ name: "INPUT0" {input_} }} output {{ name: "OUTPUT0" {output} }} {" ".join(more)}"""


ONNX = """backend: "onnxruntime" max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
"""


def step(model="a", source="I", target="O", version=-1, key="INPUT0", made="OUTPUT0"):
    return f"""{{ model_name: "{model}" model_version: {version} input_map {{ key: "{key}" value: "{source}" }}
        output_map {{ key: "{made}" value: "{target}" }} }}"""


def ensemble(*steps, batch=8, input_=FP32, output=FP32, more=""):
    return f"""platform: "ensemble" max_batch_size: {batch} input {{ name: "I" {input_} }} output {{ name: "O" {output} }}
        ensemble_scheduling {{ step [ {", ".join(steps)} ] }} {more}"""


def model(config, name="m", files=(("1/any", b""),)):
    """The files of one model, by path."""
    made = {f"{name}/{path}": content for path, content in files}
    return made if config is None else {f"{name}/config.pbtxt": config, **made}


def onnx(config, content):
    return model(config, files=[("1/model.onnx", content)])


def composed(config, a=None):
    """The ensemble `e` of the model `a`."""
    return {**model(a or plain(), "a"), **model(config, "e", [])}


def warm(inputs, **files):
    folder = [("1/any", b""), *((f"warmup/{name}", content) for name, content in files.items())]
    return model(plain(f'model_warmup {{ name: "w" batch_size: 1 {inputs} }}'), files=folder)


def state(initial, data_type="TYPE_INT32", **files):
    config = f"""backend: "onnxruntime" max_batch_size: 0 sequence_batching {{ state {{ input_name: "INPUT1"
        output_name: "OUTPUT1" data_type: {data_type} dims: [ 4, 16 ] {initial} }} }}"""
    folder = [("1/model.onnx", add_sub()), *((f"initial_state/{name}", data) for name, data in files.items())]
    return model(config, files=folder)


def initial(kind):
    return f'initial_state {{ name: "s" data_type: TYPE_INT32 dims: [ 4, 16 ] {kind} }}'


class Link(str):
    """A link to that."""


FIFO, SOCKET, FOLDER = object(), object(), object()

LABELLED = plain(output=f'{FP32} label_filename: "labels.txt"')
AGENT = 'model_repository_agents { agents { name: "%s" parameters { key: "%s" value: "%s" } } }'
PIPELINE = '[[step]]\nop = "decode"\ninput = "raw"\noutput = "image"\n[[step]]\nop = "tensor"\ninput = "image"\noutput = "x"\n'

SOUND = {
    "empty": {},
    "plain": model(plain()),
    "no name of a version": model(plain(), files=[("3/any", b""), ("other/any", b"")]),
    "onnx": onnx(ONNX, add_sub()),
    "onnx alone": onnx(None, add_sub()),
    "ensemble": composed(ensemble(step())),
    "labels": model(LABELLED, files=[("1/any", b""), ("labels.txt", b"a\nb\n")]),
    "linked config": {**model(None), "m/other": plain(), "m/config.pbtxt": Link("other")},
    "warm": warm(ZEROS % FP32),
    "warm by file": warm('inputs { key: "INPUT0" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "f" } }', f=bytes(16)),
    "warm of size 0": model(plain('model_warmup { name: "w" batch_size: 0 }')),
    "gpus without a kind": model(plain("instance_group { gpus: [ 0 ] }")),
    "gpus of KIND_AUTO": model(plain("instance_group { kind: KIND_AUTO gpus: [ 0 ] }")),
    "empty capability": model(plain("cc_model_filenames: {}")),
    "graph level": model(plain("optimization { graph { level: 3 } }")),
    "version missing of two": model(plain("version_policy { specific { versions: [ 1, 7 ] } }")),
    "runtime": model(plain('runtime: "libtriton_identity.so"')),
    "model of a link to nowhere": {**model(plain()), "dangling": Link("nowhere")},
    "model of a FIFO": {**model(plain()), "fifo": FIFO},
    "second version of a link to nowhere": {**model(plain()), "m/2": Link("nowhere")},
    "hidden folder": {**model(plain()), ".git/config.pbtxt": "nonsense"},
    "no model's name": {**model(plain()), "a b\n/1/any": b""},
    "digest": model(plain(AGENT % ("checksum", "MD5:1/any", "d41d8cd98f00b204e9800998ecf8427e"))),
    "reshape": model(plain(input_=f"{FP32} reshape {{ shape: [ 2, 2 ] }}", output=f"{FP32} reshape {{ shape: [ 2, 2 ] }}")),
    "cached": model(plain("response_cache { enable: true }")),
    "labels of an ensemble": {**composed(ensemble(step(), output=f'{FP32} label_filename: "l"')), "e/l": "a\n"},
    "two steps": composed(ensemble(step(target="t"), step(source="t"))),
    "ensemble of an ensemble": {**composed(ensemble(step())), **model(ensemble(step("e", key="I", made="O")), "f", [])},
}

FAULTY = {
    "no version": model(plain(), files=[]),
    "version missing": model(plain("version_policy { specific { versions: [ 7 ] } }")),
    "syntax": model("backend: {"),
    "unknown field": model(plain("max_batch: 3")),
    "unknown type": model(plain(input_="data_type: FP32 dims: [ 4 ]")),
    "no type": model(plain(input_="dims: [ 4 ]")),
    "no dims": model(plain(input_="data_type: TYPE_FP32")),
    "dim of 0": model(plain(input_="data_type: TYPE_FP32 dims: [ 0 ]")),
    "reshape to another size": model(plain(input_=f"{FP32} reshape {{ shape: [ 5 ] }}")),
    "reshape of one side": model(plain(input_=f"{FP32} reshape {{ shape: [ 2, 2 ] }}")),
    "another name": model(plain('name: "other"')),
    "unknown backend": model(plain(backend="fil")),
    "no backend": model("max_batch_size: 1"),
    "negative batch": model(plain(batch=-1)),
    "not UTF-8": {**model(None), "m/config.pbtxt": b'name: "\xff"'},
    "types differ": model(plain(output="data_type: TYPE_INT32 dims: [ 4 ]")),
    "two policies": model(plain("dynamic_batching { } sequence_batching { }")),
    "preferred beyond": model(plain("dynamic_batching { preferred_batch_size: 9 }")),
    "gpu": model(plain("instance_group { kind: KIND_GPU gpus: [ 0 ] }")),
    "cpu with gpus": model(plain("instance_group { kind: KIND_CPU gpus: [ 0 ] }")),
    "too many instances": model(plain("instance_group { count: 5000 }")),
    "another runtime": model(plain('runtime: "libtriton_other.so"')),
    "runtime elsewhere": model(plain('runtime: "../identity/libtriton_identity.so"')),
    "runtime by path": model(plain('runtime: "/tmp/libtriton_identity.so"')),
    "no labels": model(LABELLED),
    "labels elsewhere": model(plain(output=f'{FP32} label_filename: "../labels.txt"')),
    "labels of a FIFO": {**model(LABELLED), "m/labels.txt": FIFO},
    "labels of a device": {**model(LABELLED), "m/labels.txt": Link("/dev/zero")},
    "labels of a folder": {**model(LABELLED), "m/labels.txt": FOLDER},
    "labels not UTF-8": {**model(LABELLED), "m/labels.txt": b"\xff\xfe"},
    "config of a FIFO": {**model(None), "m/config.pbtxt": FIFO},
    "config of a folder": {**model(None), "m/config.pbtxt": FOLDER},
    "config of a socket": {**model(None), "m/config.pbtxt": SOCKET},
    "config of a device": {**model(None), "m/config.pbtxt": Link("/dev/zero")},
    "config of a link to nowhere": {**onnx(None, add_sub()), "m/config.pbtxt": Link("nowhere")},
    "config too large": model(plain("#" + "x" * (2 << 20))),
    "unknown agent": model(plain(AGENT % ("decrypt", "k", "v"))),
    "wrong digest": model(plain(AGENT % ("checksum", "MD5:1/any", "0"))),
    "digest of a FIFO": {**model(plain(AGENT % ("checksum", "MD5:fifo", "0"))), "m/fifo": FIFO},
    "digest of nothing": model(plain(AGENT % ("checksum", "MD5:1/none", "0"))),
    "warm of another type": warm(ZEROS % "data_type: TYPE_INT32 dims: [ 4 ]"),
    "warm of another shape": warm(ZEROS % "data_type: TYPE_FP32 dims: [ 5 ]"),
    "warm without input": warm(""),
    "warm without file": warm('inputs { key: "INPUT0" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "f" } }'),
    "warm by a short file": warm('inputs { key: "INPUT0" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "f" } }', f=bytes(5)),
    "warm by a FIFO": warm('inputs { key: "INPUT0" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "f" } }', f=FIFO),
    "warm-up fails": model(plain('model_warmup { name: "w" batch_size: 1 %s }' % (ZEROS % FP32), backend="fail")),
    "state without file": state(initial('data_file: "none"')),
    "state of a short file": state(initial('data_file: "f"'), f=bytes(4)),
    "state of a FIFO": state(initial('data_file: "f"'), f=FIFO),
    "state of a stranger": state("", data_type="TYPE_FP32"),
    "onnx missing": model(ONNX, files=[("1/net.onnx", add_sub())]),
    "onnx empty": onnx(ONNX, b""),
    "onnx cut": onnx(ONNX, add_sub()[:100]),
    "onnx garbage": onnx(ONNX, b"nothing of the kind"),
    "onnx pointer": onnx(ONNX, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "onnx page": onnx(ONNX, b"<!DOCTYPE html><html></html>"),
    "onnx FIFO": onnx(ONNX, FIFO),
    "onnx folder": onnx(ONNX, FOLDER),
    "onnx type": onnx(ONNX.replace("INT32", "FP32", 1), add_sub()),
    "onnx shape": onnx(ONNX.replace("[ 16 ]", "[ 15 ]", 1), add_sub()),
    "onnx name": onnx(ONNX.replace("INPUT1", "INPUT2"), add_sub()),
    "onnx output": onnx(ONNX.replace("OUTPUT1", "OUTPUT2"), add_sub()),
    "onnx parameter": onnx(ONNX + 'parameters { key: "intra_op_thread_count" value { string_value: "many" } }', add_sub()),
    "onnx version of two": model(ONNX + "version_policy { all { } }", files=[("1/model.onnx", add_sub()), ("2/model.onnx", b"x")]),
    "pipeline missing": model('backend: "vision"'),
    "pipeline wrong": model('backend: "vision"', files=[("1/pipeline.toml", '[[step]]\nop = "nothing"\n')]),
    "pipeline of a FIFO": model('backend: "vision"', files=[("1/pipeline.toml", FIFO)]),
    "pipeline of a device": model('backend: "vision"', files=[("1/pipeline.toml", Link("/dev/zero"))]),
    "ensemble type": composed(ensemble(step(), input_="data_type: TYPE_INT32 dims: [ 4 ]")),
    "ensemble shape": composed(ensemble(step(), input_="data_type: TYPE_FP32 dims: [ 5 ]")),
    "ensemble output type": composed(ensemble(step(), output="data_type: TYPE_INT32 dims: [ 4 ]")),
    "ensemble batch": composed(ensemble(step(), batch=16)),
    "ensemble version": composed(ensemble(step(version=7))),
    "ensemble model": composed(ensemble(step("b"))),
    "ensemble input": composed(ensemble(step(key="INPUT7"))),
    "ensemble output": composed(ensemble(step(made="OUTPUT7"))),
    "empty list of versions": model(plain("version_policy { specific { } }")),
    "version of a file": {"m/config.pbtxt": plain(), "m/1": "the model itself"},
    "version of a FIFO": {"m/config.pbtxt": plain(), "m/1": FIFO},
    "version of a link to nowhere": {"m/config.pbtxt": plain(), "m/1": Link("nowhere")},
    "JSON": model('{ "backend": "identity" }'),
    "page": model("<!DOCTYPE html><html></html>"),
    "missing bracket": model(plain().replace("}", "", 1)),
    "runtime of an ensemble": composed(ensemble(step(), more='runtime: "libtriton_.so"')),
    "ensemble step without a name": composed(ensemble(step(""))),
    "circle of ensembles": {
        **model(ensemble(step("e", key="I", made="O")), "f", []),
        **model(ensemble(step("f", key="I", made="O")), "e", []),
    },
    "ensemble unmapped": composed(
        ensemble(step()),
        plain('input { name: "INPUT1" %s } output { name: "OUTPUT1" %s }' % (FP32, FP32)),
    ),
    "ensemble circle": model(ensemble(step("e", key="I", made="O")), "e", []),
    "ensemble of a broken one": composed(ensemble(step()), plain(backend="nothing")),
    "ensemble of nothing": composed(ensemble()),
    "ensemble unused": composed(ensemble(step(source="x"))),
    "ensemble labels": composed(ensemble(step(), output=f'{FP32} label_filename: "l"')),
    "ensemble with instances": composed(ensemble(step(), more="instance_group { count: 1 }")),
    "ensemble cached over many responses": composed(
        ensemble(
            '{ model_name: "a" input_map [ { key: "IN" value: "I" }, { key: "DELAY" value: "I2" }, { key: "WAIT" value: "I3" } ]'
            ' output_map { key: "OUT" value: "O" } }',
            batch=0,
            input_="data_type: TYPE_INT32 dims: [ -1 ]",
            output="data_type: TYPE_INT32 dims: [ 1 ]",
            more='input { name: "I2" data_type: TYPE_UINT32 dims: [ -1 ] } input { name: "I3" data_type: TYPE_UINT32 dims: [ 1 ] }'
            " response_cache { enable: true }",
        ),
        """backend: "repeat" max_batch_size: 0 model_transaction_policy { decoupled: true }
        input [ { name: "IN" data_type: TYPE_INT32 dims: [ -1 ] }, { name: "DELAY" data_type: TYPE_UINT32 dims: [ -1 ] },
                { name: "WAIT" data_type: TYPE_UINT32 dims: [ 1 ] } ]
        output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] }, { name: "IDX" data_type: TYPE_UINT32 dims: [ 1 ] } ]""",
    ),
    "cached and decoupled": model(plain("response_cache { enable: true } model_transaction_policy { decoupled: true }")),
    "is a model itself": {"config.pbtxt": plain(), "1/model.onnx": add_sub()},
    "one of two": {**model(plain()), **model(plain("nonsense: 1"), "n")},
}


def write(repository, files):
    """Makes the files; what has to be kept open while the test runs is returned."""
    kept = []
    repository.mkdir()
    for path, content in files.items():
        path = repository / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content)
        elif content is FIFO:
            os.mkfifo(path)
        elif content is FOLDER:
            path.mkdir()
        elif content is SOCKET:
            listener = socket.socket(socket.AF_UNIX)
            # Its path may be longer than an address can be.
            folder = os.open(path.parent, os.O_RDONLY)
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
            os.close(folder)
            kept.append(listener)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return kept


def check(repository):
    done = subprocess.run(
        [BINARY, "check", str(repository), FLAG], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def starts(repository):
    """Whether a server on the repository gets ready, and its log."""
    server = ServerProcess(repository, timeout=60)
    try:
        server.start()
        return True, server.log()
    except RuntimeError as error:
        assert "did not get ready" not in str(error), error
        return False, str(error)
    finally:
        server.stop()
        server.log_file.close()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By name of the case: (status of the check, what it says, whether the server starts, its log)."""
    folder = tmp_path_factory.mktemp("repositories")
    cases = list(enumerate(itertools.chain(SOUND.items(), FAULTY.items())))
    kept = [write(folder / f"r{index}", files) for index, (_, files) in cases]

    def outcome(case):
        index, (name, _) = case
        repository = folder / f"r{index}"
        return name, (*check(repository), *starts(repository))

    with ThreadPoolExecutor(4) as pool:
        found = dict(pool.map(outcome, cases))
    for listener in itertools.chain(*kept):
        listener.close()
    return found


@pytest.mark.parametrize("name", [*SOUND, *FAULTY])
def test_check_says_what_a_start_does(outcomes, name):
    status, said, ready, log = outcomes[name]
    assert (status == 0) == ready, f"{said}\n{log}"
    assert ready == (name in SOUND), f"the case is not what it is meant to be:\n{said}\n{log}"


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_is_told_once(outcomes, name):
    lines = [line for line in outcomes[name][1].splitlines() if line.startswith("error: ")]
    assert lines and len(lines) == len(set(lines)), outcomes[name][1]


def test_hints_are_for_the_log_too(outcomes):
    for name, part in [
        ("no version", "make a folder '1' with the model file in it"),
        ("onnx missing", "the version's folder has 'net.onnx'"),
        ("onnx empty", "is empty"),
        ("onnx pointer", "git lfs pull"),
        ("onnx page", "is an HTML page"),
        ("is a model itself", "the model repository is the folder that it lies in"),
        ("unknown backend", "Triton's backend 'fil' is not in this server"),
        ("gpu", "--cpu-fallback"),
    ]:
        status, said, _, log = outcomes[name]
        assert status == 1 and part in said and part in log, f"{name}: {said}\n{log}"
    assert "there is no model in" in outcomes["empty"][1] and "there is no model in" in outcomes["empty"][3]


def test_a_missing_library_is_status_2_and_said_once(tmp_path):
    write(tmp_path / "models", {**onnx(ONNX, add_sub()), "n/1/model.onnx": add_sub()})
    flag = "--backend-config=onnxruntime,library=/not/there.so"
    command = [BINARY, "check", str(tmp_path / "models"), flag]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stdout
    assert done.stdout.count("/not/there.so") == 1 and "2 models of backend 'onnxruntime'" in done.stdout
    assert done.stdout.endswith("2 models, 1 error, 0 warnings\n"), done.stdout
