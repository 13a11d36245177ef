#!/usr/bin/env bash
# kserve 0.21.0, asked by tritonclient 2.73.0 (PyPI): does "unload this model" over gRPC say which?
#
# Guess:   yes; it is one protocol, the calls have one path, the messages one name each, and is_model_ready and infer work across.
# Seen:    KServe reads an empty name: "Model with name  does not exist". model_name of RepositoryModelLoadRequest and
#          RepositoryModelUnloadRequest is field 1 there, and 2 in Triton, whose field 1 is repository_name. A parameter that is a
#          fraction, temperature=0.5, has no value there either: double_param is a field of Triton's. Nobody sees an error of it.
#          Over HTTP both work.
# Follows: a server takes field 1 as the name where field 2 is empty.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install kserve==0.21.0 'tritonclient[grpc]==2.73.0'
cat >"$work/serve.py" <<'PY'
import socket, sys
from kserve import InferOutput, InferResponse, Model, ModelServer
class Parameters(Model):
    """Answers which value each parameter of a request has."""
    def load(self):
        self.ready = True
        return True
    def predict(self, request, headers=None):
        text = ",".join(f"{key}:{value.WhichOneof('parameter_choice')}" for key, value in sorted(request.parameters.items()))
        return InferResponse("1", self.name, [InferOutput("y", [1], "BYTES", [text])])
with socket.socket() as a, socket.socket() as b:
    a.bind(("127.0.0.1", 0)), b.bind(("127.0.0.1", 0))
    ports = a.getsockname()[1], b.getsockname()[1]
with open(sys.argv[1], "w") as f:
    print(*ports, file=f)
model = Parameters("m")
model.load()
ModelServer(http_port=ports[0], grpc_port=ports[1], workers=1).start([model])
PY
"$work/venv/bin/python" "$work/serve.py" "$work/ports" >"$work/log" 2>&1 &
server=$!
"$work/venv/bin/python" - "$work/ports" <<'PY' || { cat "$work/log"; exit 1; }
import sys, time, numpy as np, tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
deadline, live = time.monotonic() + 120, False
while not live:
    try:
        http, grpc = open(sys.argv[1]).read().split()
        client = triton.InferenceServerClient(f"127.0.0.1:{grpc}")
        live = client.is_model_ready("m")
    except (OSError, ValueError, InferenceServerException):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.5)
x = triton.InferInput("x", [1], "INT32")
x.set_data_from_numpy(np.zeros(1, np.int32))
answer = client.infer("m", [x], parameters={"top_k": 5, "temperature": 0.5}).get_response()
seen = list(answer.outputs[0].contents.bytes_contents)
print("parameters that the model got:", seen)
try:
    client.unload_model("m")
    unload = "done"
except InferenceServerException as error:
    unload = error.message()
print("unload_model('m'):", unload, "| ready:", client.is_model_ready("m"))
assert seen == [b"temperature:None,top_k:int64_param"], seen
assert unload == "Model with name  does not exist." and client.is_model_ready("m"), unload
PY
