#!/usr/bin/env bash
# mlserver 1.7.1, asked by tritonclient 2.73.0 (PyPI): which models are ready?
#
# Guess:   [{"name": "m", "state": "READY"}], as the protocol's text has it and Triton answers, over both protocols.
# Seen:    over gRPC the state is "State.READY", the name of a Python constant: a loop that waits for "READY" never ends. Over HTTP the
#          state is right, but tritonclient gets 422, since it sends no body and MLServer wants one; and then it fails on the answer,
#          which has no "error": "an exception occurred in the client while decoding the response".
# Follows: who waits for a model asks for that model's readiness; a client takes the end of a state behind its last dot.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install mlserver==1.7.1 'numpy<3'
python3 -m venv "$work/client"
"$work/client/bin/pip" --quiet install 'tritonclient[all]==2.73.0'
mkdir "$work/models"
cat >"$work/models/nothing.py" <<'PY'
from mlserver import MLModel
class Nothing(MLModel):
    async def load(self):
        return True
PY
echo '{"name": "m", "implementation": "nothing.Nothing"}' >"$work/models/model-settings.json"
"$work/venv/bin/python" - "$work/models/settings.json" <<'PY'
import json, socket, sys
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
http, grpc, metrics = (s.getsockname()[1] for s in sockets)
with open(sys.argv[1], "w") as f:
    json.dump({"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0}, f)
PY
(cd "$work/models" && PYTHONPATH=. exec "$work/venv/bin/mlserver" start .) >"$work/log" 2>&1 &
server=$!
"$work/client/bin/python" - "$work/models/settings.json" <<'PY' || { cat "$work/log"; exit 1; }
import json, sys, time, urllib.request, tritonclient.grpc, tritonclient.http
from tritonclient.utils import InferenceServerException
settings = json.load(open(sys.argv[1]))
http, grpc = (f"127.0.0.1:{settings[port]}" for port in ("http_port", "grpc_port"))
client = tritonclient.grpc.InferenceServerClient(grpc)
deadline, live = time.monotonic() + 120, False
while not live:
    try:
        live = client.is_model_ready("m") and tritonclient.http.InferenceServerClient(http).is_model_ready("m")
    except (InferenceServerException, OSError):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.5)
of_grpc = [(model.name, model.state) for model in client.get_model_repository_index().models]
request = urllib.request.Request(f"http://{http}/v2/repository/index", b"{}", {"Content-Type": "application/json"})
of_http = [(model["name"], model["state"]) for model in json.load(urllib.request.urlopen(request))]
try:
    by_client = tritonclient.http.InferenceServerClient(http).get_model_repository_index()
except InferenceServerException as error:
    by_client = error.status(), error.message().split("\n")[0]
print("gRPC:", of_grpc, "| HTTP with a body:", of_http, "| tritonclient over HTTP:", by_client)
assert of_grpc == [("m", "State.READY")] and of_http == [("m", "READY")], (of_grpc, of_http)
assert by_client[0] == "422" and "while decoding the response: 'error'" in by_client[1], by_client
PY
