#!/usr/bin/env bash
# schemathesis 4.32.5 (PyPI), which says that it takes pytest>=8.4,<10: does its pytest integration run under pytest 9.2.0?
#
# Guess:   yes; the newest of both are installed together without a word, and the program `schemathesis run` works.
# Seen:    every test made by `schema.parametrize()` fails before its first request: AttributeError, 'Function' object has no attribute
#          '_nodeid'. Under pytest 9.1.1 the same file passes.
# Follows: tests/clients/test_openapi.py runs schemathesis as a program.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/test_api.py" <<'PY'
import http.server, json, threading
import pytest, schemathesis
API = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"},
       "paths": {"/a": {"get": {"responses": {"200": {"description": "ok"}}}}}}
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(API).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{server.server_port}/")
    server.shutdown()
schema = schemathesis.pytest.from_fixture("api")
@schema.parametrize()
def test_api(case):
    case.call()
PY
python3 -m venv "$work/venv"
run() {
    "$work/venv/bin/pip" --quiet install schemathesis==4.32.5 "pytest==$1"
    (cd "$work" && PYTEST_DISABLE_PLUGIN_AUTOLOAD= venv/bin/python -m pytest -q -p no:cacheprovider test_api.py) >"$work/$1" 2>&1
}
older=0 newer=0
run 9.1.1 || older=$?
run 9.2.0 || newer=$?
echo "pytest 9.1.1: status $older | pytest 9.2.0: status $newer, $(grep -o -m1 "AttributeError: .*" "$work/9.2.0" || echo "no AttributeError")"
[ "$older" = 0 ] && [ "$newer" = 1 ] && grep -q "'Function' object has no attribute '_nodeid'" "$work/9.2.0"
