#!/usr/bin/env bash
# grpcio 1.85.1 (PyPI): how long does a call with timeout=float("inf") wait?
#
# Guess:   for ever, as asyncio.wait_for does; or it raises OverflowError, as threading does for more than threading.TIMEOUT_MAX.
# Seen:    not at all: DEADLINE_EXCEEDED at once, and the server never hears of the call. float("inf"), sys.maxsize and Python's own
#          threading.TIMEOUT_MAX (292 years) alike, with threads and with asyncio. 7e9 (222 years) works. A timeout that is so long that
#          it means none is the shortest there is; it looks like a server that is too slow.
# Follows: None is the only way to say "no timeout"; a log of DEADLINE_EXCEEDED without a request on the server is a client's number.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install grpcio==1.85.1
"$work/venv/bin/python" - <<'PY'
import asyncio, concurrent.futures, grpc, sys, threading
heard = []
class Answers(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: heard.append(request) or b"answer")
server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
server.add_generic_rpc_handlers((Answers(),))
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
def with_threads(timeout):
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary("/any/call")(b"threads", timeout=timeout)
async def with_asyncio(timeout):
    async with grpc.aio.insecure_channel(address) as channel:
        return await channel.unary_unary("/any/call")(b"asyncio", timeout=timeout)
def seen(call, timeout):
    heard.clear()
    try:
        answer = call(timeout)
    except grpc.RpcError as error:
        answer = error.code().name
    return answer, len(heard)
for timeout in (None, 3600, 7e9, threading.TIMEOUT_MAX, sys.maxsize, float("inf")):
    both = [seen(with_threads, timeout), seen(lambda timeout: asyncio.run(with_asyncio(timeout)), timeout)]
    print(f"timeout={timeout}:", *both)
    expected = (b"answer", 1) if timeout is None or timeout <= 7e9 else ("DEADLINE_EXCEEDED", 0)
    assert both == [expected, expected], both
server.stop(None)
PY
