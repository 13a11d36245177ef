#!/usr/bin/env bash
# mlserver 1.7.1, asked by tritonclient 2.73.0 (PyPI): what does a stream of answers look like?
#
# Guess:   as from Triton: the same service, the same method ModelStreamInfer, the same ModelInferRequest; infer() works across.
# Seen:    each answer arrives as an error whose text is the model's name. The method returns ModelInferResponse there, and
#          ModelStreamInferResponse in Triton: field 1 is model_name in the one and error_message in the other, so that what says which
#          model it was becomes the reason of a failure. The request was executed, and its outputs are skipped as fields that are not
#          known.
# Follows: a client that streams from any server of KServe v2 asks the server by reflection, or its name, which of the two it speaks.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install mlserver==1.7.1 'numpy<3'
python3 -m venv "$work/client"
"$work/client/bin/pip" --quiet install 'tritonclient[grpc]==2.73.0'
mkdir "$work/models"
cat >"$work/models/words.py" <<'PY'
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceResponse
class Words(MLModel):
    """Answers with each word of a text."""
    async def load(self):
        return True
    async def predict_stream(self, requests):
        async for request in requests:
            for word in StringCodec.decode_input(request.inputs[0])[0].split():
                yield InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("word", [word])])
PY
echo '{"name": "words", "implementation": "words.Words"}' >"$work/models/model-settings.json"
"$work/venv/bin/python" - "$work/models/settings.json" <<'PY'
import json, socket, sys
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
http, grpc, metrics = (s.getsockname()[1] for s in sockets)
with open(sys.argv[1], "w") as f:
    json.dump({"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0, "gzip_enabled": False}, f)
PY
(cd "$work/models" && PYTHONPATH=. exec "$work/venv/bin/mlserver" start .) >"$work/log" 2>&1 &
server=$!
"$work/client/bin/python" - "$work/models/settings.json" <<'PY' || { cat "$work/log"; exit 1; }
import json, queue, sys, time, numpy as np, tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
client = triton.InferenceServerClient(f"127.0.0.1:{json.load(open(sys.argv[1]))['grpc_port']}")
deadline, live = time.monotonic() + 120, False
while not live:
    try:
        live = client.is_model_ready("words")
    except InferenceServerException:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.5)
answers = queue.Queue()
client.start_stream(lambda result, error: answers.put((result, error and error.message())))
text = triton.InferInput("text", [1], "BYTES")
text.set_data_from_numpy(np.array([b"one two three"], object))
client.async_stream_infer("words", [text])
seen = [answers.get(timeout=30) for _ in range(3)]
client.stop_stream()
print(*seen, sep="\n")
assert seen == [(None, "words")] * 3, seen
PY
