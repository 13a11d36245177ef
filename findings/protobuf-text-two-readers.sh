#!/usr/bin/env bash
# protobuf 7.36.2 and the protoc of grpcio-tools 1.85.1 (PyPI), both Google's: do they read the same text, such as a config.pbtxt?
#
# Guess:   yes; the form has a specification, and what one of them writes the other reads. Odd forms are refused by both.
# Seen:    Python's reader takes numbers as Python does: 1_000 is a thousand, 0b11 three, +5 five, of which the C++ reader takes none. That one
#          takes "- 5" with a space, 0x1 and 01 for true, and text that is not UTF-8, which Python refuses. And one text both take is
#          not the same one: "\?" is "?" in C++ and "\?" in Python, where "\q" is a text as well, and an error in C++. A key that a map
#          has twice is there once in Python and twice in what protoc writes.
# Follows: a config that passed a check in Python may stop Triton, which reads it in C++, at its start: max_batch_size: 1_000 is not a number
#          there. What reads configs for Triton's users goes by the C++ reader; crates/model-config does, but for text that is not UTF-8.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install protobuf==7.36.2 grpcio-tools==1.85.1
cd "$work"
cat >config.proto <<'PROTO'
syntax = "proto3";
message Config {
  string name = 1;
  int32 max_batch_size = 2;
  repeated int64 dims = 3;
  float fill = 4;
  bool optional = 5;
  map<string, string> parameters = 6;
}
PROTO
"$work/venv/bin/python" -m grpc_tools.protoc -I. --python_out=. config.proto
"$work/venv/bin/python" -W ignore - <<'PY'
import subprocess, sys

sys.path.insert(0, ".")
from config_pb2 import Config
from google.protobuf import text_format

def by_python(text):
    try:
        return text_format.Parse(text, Config()).SerializeToString()
    except text_format.ParseError:
        return None

def by_protoc(text):
    run = subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", "--encode=Config", "config.proto"], input=text.encode(), capture_output=True)
    return run.stdout if run.returncode == 0 else None

def text_of(wire):
    return wire[2:].decode()

ok = True
for text, python, protoc in [
    ("max_batch_size: 1000", True, True),
    ("max_batch_size: 0x10", True, True),
    ("fill: 1.5f", True, True),
    ("fill: -inf", True, True),
    ("optional: t", True, True),
    ("dims: [1], dims: [2];", True, True),
    ("max_batch_size: 1_000", True, False),
    ("fill: 1_000", True, False),
    ("max_batch_size: 0b11", True, False),
    ("max_batch_size: +5", True, False),
    ("max_batch_size: - 5", False, True),
    ("dims: [ - 1, 3 ]", False, True),
    ("fill: - 1.5", False, True),
    ("optional: 0x1", False, True),
    ("optional: 01", False, True),
    (r'name: "\xff"', False, True),
    (r'name: "\q"', True, False),
]:
    seen = by_python(text), by_protoc(text)
    print(f"{text:24} {'read' if seen[0] is not None else 'refused'} by Python, {'read' if seen[1] is not None else 'refused'} by C++")
    ok &= [wire is not None for wire in seen] == [python, protoc]
    ok &= seen[0] == seen[1] or not (python and protoc)
ok &= Config.FromString(by_python("max_batch_size: 1_000")).max_batch_size == 1000
question = r'name: "ready\?"'
seen = text_of(by_python(question)), text_of(by_protoc(question))
print(f"{question}: {seen[0]} by Python, {seen[1]} by C++")
ok &= seen == (r"ready\?", "ready?")
twice = 'parameters { key: "a" value: "1" } parameters { key: "a" value: "2" }'
seen = len(by_python(twice)), len(by_protoc(twice))
print(f"a key twice: {seen[0]} bytes by Python, {seen[1]} by C++")
ok &= seen[1] == 2 * seen[0]
raise SystemExit(not ok)
PY
