#!/usr/bin/env bash
# tritonclient 2.73.0 (PyPI): does a client that was not told to compress ask for compressed answers?
#
# Guess:   no; infer() has response_compression_algorithm=None, and the client with threads sends no Accept-Encoding then.
# Seen:    tritonclient.http.aio sends "Accept-Encoding: gzip, deflate, br", the default of aiohttp below it, so that a server which
#          honours the header compresses every binary tensor. tritonclient.http sends none.
# Follows: a list of several codings is a library's default; one coding alone is somebody's wish.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install 'tritonclient[http]==2.73.0' aiohttp==3.14.5 geventhttpclient==2.6.1
"$work/venv/bin/python" - <<'PY'
import asyncio, http.server, threading
import tritonclient.http, tritonclient.http.aio
seen = []
class Live(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers.get("Accept-Encoding"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Live)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_port}"
async def ask():
    async with tritonclient.http.aio.InferenceServerClient(address) as client:
        await client.is_server_live()
asyncio.run(ask())
tritonclient.http.InferenceServerClient(address).is_server_live()
print("asyncio:", seen[0], "| threads:", seen[1])
assert seen == ["gzip, deflate, br", None], seen
PY
