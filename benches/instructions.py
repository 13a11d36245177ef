"""Counts the instructions that the server takes for a small request, by callgrind: whose they are, and for which step."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from server_process import ROOT, ServerProcess

PROFILE = "instructions"
FLOATS = 16

# Whose code it is, by the beginning of a function's name; the first that fits. Implementations of a trait are called
# `<type as trait>::method` or `<impl trait for type>::method`.
PARTS = [
    ("hippocamp_grpc", "hippocamp_grpc"),
    ("hippocamp_http", "hippocamp_http"),
    ("hippocamp_core", "hippocamp_core"),
    ("hippocamp_serving", "hippocamp_serving"),
    ("hippocamp_scheduler", "hippocamp_scheduler"),
    ("hippocamp_events", "hippocamp_events"),
    ("hippocamp_statistics", "hippocamp_statistics"),
    ("hippocamp_wake", "hippocamp_wake"),
    ("hippocamp_backend_builtin", "hippocamp_backend"),
    ("hippocamp_backend", "hippocamp_backend"),
    ("hippocamp", "hippocamp_* (others)"),
    ("h2", "h2"),
    ("hyper", "hyper"),
    ("http", "http (headers)"),
    ("tonic", "tonic"),
    ("tower", "tower"),
    ("prost", "prost"),
    ("tokio", "tokio"),
    ("mio", "tokio"),
    ("bytes", "bytes"),
    ("_rjem", "allocator"),
    ("tikv_jemalloc", "allocator"),
    ("core", "core, alloc, std"),
    ("alloc", "core, alloc, std"),
    ("std", "core, alloc, std"),
]


# The functions that are a step of a request, with all that they call.
QUEUED = [
    "hippocamp_scheduler::scheduler::Scheduler::execute_or_enqueue",
    "hippocamp_scheduler::queue::Queue::pull_with",
]
EXECUTED = [
    "<hippocamp_backend_builtin::identity::IdentityInstance"
    " as hippocamp_backend::contract::ModelInstance>::execute"
]
STEPS = {
    "decode": {
        "grpc": ["hippocamp_grpc_content::frame_decode::decode", "hippocamp_grpc::decode::request"],
        "http": ["hippocamp_http::json::infer::parse_infer"],
    },
    "check": dict.fromkeys(("grpc", "http"), ["hippocamp_serving::request_check::check"]),
    "enqueue to execute": dict.fromkeys(("grpc", "http"), QUEUED),
    "execute, answer": dict.fromkeys(("grpc", "http"), EXECUTED),
    "encode": {
        "grpc": ["hippocamp_grpc::encode::reply", "hippocamp_grpc::encode::Reply::into_pieces"],
        "http": ["hippocamp_http::encode::encode", "hippocamp_http::encode::Encoded::into_response"],
    },
}


class CountedServer(ServerProcess):
    """The server under callgrind, which writes what it counted to `out`."""

    def __init__(self, program, out, *repositories):
        super().__init__(*repositories, timeout=300)
        self.program, self.out = program, out

    def command(self):
        command = super().command()
        counting = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.out}"]
        return [*counting, self.program, *command[1:]]


def build():
    """The path of a server that has its symbols. Takes some minutes the first time."""
    command = ["cargo", "build", "--locked", "-p", "hippocamp", "--bin", "hippocamp"]
    command += ["--profile", PROFILE, "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "hippocamp":
            return message["executable"]
    raise RuntimeError("cargo built no hippocamp")


def over_http(server, count):
    """Sends the same request so many times over one connection."""
    head = (
        '{"inputs":[{"name":"INPUT0","shape":[%d],"datatype":"FP32","parameters":{"binary_data_size":%d}}],'
        '"outputs":[{"name":"OUTPUT0","parameters":{"binary_data":true}}]}' % (FLOATS, FLOATS * 4)
    ).encode()
    body = head + bytes(FLOATS * 4)
    request = (
        "POST /v2/models/identity/infer HTTP/1.1\r\nHost: bench\r\n"
        f"Inference-Header-Content-Length: {len(head)}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    exchange(server, request, count, lambda answer: answer.endswith(bytes(FLOATS * 4)))


def exchange(server, request, count, is_right):
    """Sends a request so many times over one connection."""
    with socket.create_connection(("127.0.0.1", server.http_port)) as link:
        replies = link.makefile("rb")
        for _ in range(count):
            link.sendall(request)
            status, length = replies.readline(), 0
            while (line := replies.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            answer = replies.read(length)
            if b" 200 " not in status or not is_right(answer):
                sys.exit(f"bench: a request was answered with {status!r} {answer[:200]!r}")


def over_grpc(server, count):
    """The same over gRPC, by the client of the tests."""
    sys.path.insert(0, os.path.join(ROOT, ".cache", "python", "tests"))
    import numpy as np
    import tritonclient.grpc as client

    tensor = client.InferInput("INPUT0", [FLOATS], "FP32")
    tensor.set_data_from_numpy(np.zeros(FLOATS, np.float32))
    link = client.InferenceServerClient(server.grpc)
    for _ in range(count):
        link.infer("identity", [tensor])
    link.close()


def over_v1_http(server, count):
    """The same in V1: its header is a header, and the body has the tensor alone."""
    body = bytes(FLOATS * 4)
    request = (
        "POST /api/infer/identity?format=binary HTTP/1.1\r\nHost: bench\r\n"
        f'NV-InferRequest:batch_size: 1 input {{ name: "INPUT0" dims: {FLOATS} }} output {{ name: "OUTPUT0" }}\r\n'
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    exchange(server, request, count, lambda answer: answer.startswith(body))


def field(number, value):
    """A field of a message: a small number, or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def over_v1_grpc(server, count):
    """The same in V1 over gRPC, by any client: the message is made here."""
    sys.path.insert(0, os.path.join(ROOT, ".cache", "python", "tests"))
    import grpc

    tensor = field(1, b"INPUT0") + field(2, FLOATS)
    header = field(1, 1) + field(2, tensor) + field(3, field(1, b"OUTPUT0"))
    latest = bytes([2 << 3]) + b"\xff" * 9 + b"\x01"
    message = field(1, b"identity") + latest + field(3, header) + field(4, bytes(FLOATS * 4))
    with grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary("/nvidia.inferenceserver.GRPCService/Infer")
        for _ in range(count):
            answer = infer(message)
            if not answer.endswith(field(3, bytes(FLOATS * 4))):
                sys.exit(f"bench: a request was answered with {answer[:200]!r}")


def counted(program, drive, count, folder):
    """Instructions by part and by step, of a server that answers so many requests."""
    out = os.path.join(folder, f"callgrind.{drive.__name__}.{count}")
    repository = os.path.join(folder, "models")
    with CountedServer(program, out, repository) as server:
        drive(server, count)
    parts, steps = {}, {}
    for function, library, instructions in functions(out):
        part = part_of(function, library)
        parts[part] = parts.get(part, 0) + instructions
    within = {function: instructions for function, _, instructions in functions(out, "--inclusive=yes")}
    protocol = drive.__name__.removeprefix("over_")
    for step, of in STEPS.items() if protocol in ("grpc", "http") else ():
        if missing := [function for function in of[protocol] if function not in within]:
            hint = f"give it #[inline(never)], or see STEPS in {__file__}"
            sys.exit(f"bench: {missing[0]} is no function of its own any more: {hint}")
        steps[step] = sum(within[function] for function in of[protocol])
    return parts, steps


def functions(out, *options):
    """(function, the library that it is in, instructions) of what callgrind wrote."""
    shown = ["callgrind_annotate", "--threshold=100", "--auto=no", *options, out]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if found := re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(\S.*)", line):
            # `file:function [library]`
            pattern = r"(?:.*?:)?(?P<name>.*?)(?: \[(?P<library>[^\]]*)\])?$"
            named = re.match(pattern, found[2].replace("::", "\0"))
            name = named["name"].replace("\0", "::")
            yield name, os.path.basename(named["library"] or ""), int(found[1].replace(",", ""))


def part_of(name, library):
    """Whose code a function is."""
    if name.startswith("PROGRAM TOTALS"):
        return "all of it"
    if library and "hippocamp" not in library:
        return "C library"
    name = re.sub(r"^<?(impl .* for )?[&<(\[*]*(mut |dyn |const )*", "", name)
    for prefix, part in PARTS:
        if re.match(rf"{prefix}(\b|_)", name):
            return part
    return "others"


def instructions(count, output):
    """Prints a table: what a request takes, and whose code that is. Writes it as JSON, too, if asked to."""
    for tool in ("valgrind", "callgrind_annotate"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is missing: install valgrind, which every distribution has")
    program, results, stepped = build(), {}, {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.makedirs(os.path.join(folder, "models", "identity", "1"))
        with open(os.path.join(folder, "models", "identity", "config.pbtxt"), "w") as f:
            ends = '%s { name: "%s" data_type: TYPE_FP32 dims: -1 }\n'
            f.write('backend: "identity"\n' + ends % ("input", "INPUT0") + ends % ("output", "OUTPUT0"))
        for drive in (over_grpc, over_http, over_v1_grpc, over_v1_http):
            few, many = (counted(program, drive, n, folder) for n in (count, 3 * count))
            protocol = drive.__name__.removeprefix("over_")
            results[protocol], stepped[protocol] = (
                {name: (much - little.get(name, 0)) / (2 * count) for name, much in more.items()}
                for little, more in zip(few, many)
            )
    print(f"instructions of a request of {FLOATS} floats, from the difference of {3 * count} and {count}\n")
    names = {name for parts in results.values() for name in parts}
    names = sorted(names, key=lambda name: -results["grpc"].get(name, 0))
    print(f"{'':24}" + "".join(f"{protocol:>12}" for protocol in results))
    for name in names:
        row = [parts.get(name, 0) for parts in results.values()]
        if max(row) >= 50:
            print(f"{name:24}" + "".join(f"{value:12,.0f}" for value in row))
    print("\nof them in the steps of a request, with all that these call\n")
    for name in STEPS:
        print(f"{name:24}" + "".join(f"{steps[name]:12,.0f}" for steps in stepped.values() if name in steps))
    for protocol in ("grpc", "http"):
        ratio = results[f"v1_{protocol}"]["all of it"] / results[protocol]["all of it"]
        print(f"\nV1 takes {ratio:.3f} of v2's over {protocol}", end="")
    print()
    if output:
        with open(output, "w", encoding="utf-8") as f:
            json.dump({"parts": results, "steps": stepped}, f, indent=1)
