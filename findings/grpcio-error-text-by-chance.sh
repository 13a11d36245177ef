#!/usr/bin/env bash
# grpcio 1.85.1 (PyPI): does a client get the code and the text of an error whose text is long?
#
# Guess:   yes; the text is 2,000 letters of a traceback in German or Japanese, and messages of megabytes are nothing to gRPC. If there
#          is a limit, it is a fixed one.
# Seen:    the same call with the same answer fails with INTERNAL and its text, or with RESOURCE_EXHAUSTED "received metadata size
#          exceeds soft limit", by chance. The text travels in a header, each byte that is not ASCII as three characters: up to 8 KiB
#          all arrive, from there to 16 KiB the client drops the more the longer they are, and beyond that all. So 8,000 letters e
#          arrive, and 1,400 Japanese ones come as another error every second time. Whoever retries by code retries what never passes.
# Follows: a server cuts the text by the length that it has in the header, not by its own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install grpcio==1.85.1
"$work/venv/bin/python" - <<'PY'
import collections, concurrent.futures, grpc
class Fails(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda text, context: context.abort(grpc.StatusCode.INTERNAL, text.decode()))
server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
server.add_generic_rpc_handlers((Fails(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/any/call")
def seen(text):
    codes = collections.Counter()
    for _ in range(60):
        try:
            call(text.encode())
        except grpc.RpcError as error:
            assert (error.code() == grpc.StatusCode.INTERNAL) == (error.details() == text), error
            codes[error.code().name] += 1
    print(repr(text[0]), len(text), dict(codes))
    return set(codes)
told, dropped = {"INTERNAL"}, {"RESOURCE_EXHAUSTED"}
# 60 calls that are dropped with a chance of a half: all or none in one of 10^18 runs.
assert [seen("e" * 7_900), seen("e" * 12_000), seen("e" * 17_000)] == [told, told | dropped, dropped]
assert [seen("ü" * 1_300), seen("ü" * 2_000), seen("ü" * 3_000)] == [told, told | dropped, dropped]
assert [seen("の" * 800), seen("の" * 1_400), seen("の" * 2_000)] == [told, told | dropped, dropped]
server.stop(None)
PY
