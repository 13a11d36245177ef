#!/usr/bin/env bash
# tritonclient 2.73.0 over grpcio 1.85.1 (PyPI): how many connections do eight gRPC clients in a process have?
#
# Guess:   eight; each InferenceServerClient makes a channel, and "one channel is one connection" is what people say. A pool of them is
#          how they get more of a server's threads, or past a balancer that divides connections.
# Seen:    one. Channels to one address with the same options share it, whether they are tritonclient's or grpcio's, in threads or in
#          asyncio: the C core keeps connections in one pool for the process. Any difference in the options parts them, of an option
#          that there is not as well; channel_args=[("grpc.use_local_subchannel_pool", 1)] gives each client its own.
# Follows: what a server says about connections per client, or by thread, holds for processes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install 'tritonclient[grpc]==2.73.0' grpcio==1.85.1
"$work/venv/bin/python" - <<'PY'
import asyncio, concurrent.futures, grpc, tritonclient.grpc, tritonclient.grpc.aio
from tritonclient.grpc import service_pb2
peers = set()
class Live(grpc.GenericRpcHandler):
    def service(self, details):
        def answer(request, context):
            peers.add(context.peer())
            return service_pb2.ServerLiveResponse(live=True).SerializeToString()
        return grpc.unary_unary_rpc_method_handler(answer)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Live(),))
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
def connections(options):
    peers.clear()
    clients = [tritonclient.grpc.InferenceServerClient(address, channel_args=options(i)) for i in range(8)]
    assert all(client.is_server_live() for client in clients)
    for client in clients:
        client.close()
    return len(peers)
async def connections_of_asyncio():
    peers.clear()
    clients = [tritonclient.grpc.aio.InferenceServerClient(address) for _ in range(8)]
    for client in clients:
        assert await client.is_server_live()
    for client in clients:
        await client.close()
    return len(peers)
seen = {
    "no options": connections(lambda i: None),
    "asyncio": asyncio.run(connections_of_asyncio()),
    "an option of any name that differs": connections(lambda i: [("any.name", i)]),
    "a local pool": connections(lambda i: [("grpc.use_local_subchannel_pool", 1)]),
}
print(seen)
assert list(seen.values()) == [1, 1, 8, 8], seen
server.stop(None)
PY
