#!/usr/bin/env bash
# kserve 0.21.0 (PyPI): does its REST client take an empty 200 as "live"?
#
# Guess:   yes; the protocol's text names the status alone, and Triton's answer has no body.
# Seen:    is_server_live and is_server_ready parse the body whatever the status is: JSONDecodeError for an empty one. is_model_ready
#          of the same client looks at the status only.
# Follows: a server answers {"live":true} and {"ready":true}; tritonclient does not mind.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install kserve==0.21.0 httpx==0.28.1
"$work/venv/bin/python" - <<'PY'
import asyncio, http.server, threading
from kserve import InferenceRESTClient, RESTConfig
class Health(http.server.BaseHTTPRequestHandler):
    body = b""
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
async def ask():
    client, seen = InferenceRESTClient(RESTConfig(protocol="v2")), {}
    for body in (b"", b'{"live":true,"ready":true}'):
        Health.body = body
        for name, call in (("live", client.is_server_live(url)), ("ready", client.is_server_ready(url)), ("model", client.is_model_ready(url, "m"))):
            try:
                seen[name, body] = await call
            except Exception as error:
                seen[name, body] = type(error).__name__
            print(name, body, seen[name, body])
    return list(seen.values())
assert asyncio.run(ask()) == ["JSONDecodeError", "JSONDecodeError", True, True, True, True]
PY
