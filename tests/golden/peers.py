"""The server under test as cases speak to it, over HTTP and over gRPC."""

import base64
import gzip
import http.client
import json
import zlib

from counts import flatten_all


def build_bytes(part):
    """Bytes of a body description: text, b64, repeat, concat, gzip or deflate."""
    if part is None:
        return None
    ((kind, value),) = part.items()
    if kind == "text":
        return value.encode()
    if kind == "b64":
        return base64.b64decode(value)
    if kind == "repeat":
        unit, times = value
        return unit.encode() * times
    if kind == "concat":
        return b"".join(build_bytes(p) for p in value)
    if kind == "gzip":
        return gzip.compress(build_bytes(value), mtime=0)
    if kind == "deflate":
        return zlib.compress(build_bytes(value))
    raise ValueError(f"unknown body part {kind!r}")


class HttpPeer:
    def __init__(self, where, metrics, timeout):
        self.where, self.metrics, self.timeout = where, metrics, timeout

    def send(self, request, timeout=None):
        """One request on a connection of its own; the answer, or {"down": why}."""
        host, port = self.metrics if request.get("port") == "metrics" else self.where
        body = build_bytes(request.get("body"))
        headers = [tuple(h) for h in request.get("headers", [])]
        chunked = any(k.lower() == "transfer-encoding" for k, _ in headers)
        link = http.client.HTTPConnection(host, port, timeout=timeout or self.timeout)
        try:
            link.putrequest(request["method"], request["path"], skip_accept_encoding=True)
            link.putheader("Accept", "*/*")
            for key, value in headers:
                link.putheader(key, value)
            if body is not None and not chunked:
                link.putheader("Content-Length", str(len(body)))
            link.endheaders()
            try:
                if body is not None and chunked:
                    link.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                elif body:
                    link.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an early answer may still be readable
            reply = link.getresponse()
            data = reply.read()
            return {
                "status": reply.status,
                "headers": {k.lower(): v for k, v in reply.getheaders()},
                "body": data,
            }
        except (http.client.HTTPException, OSError) as err:
            return {"down": f"{type(err).__name__}: {err}"}
        finally:
            link.close()

    def get(self, path, timeout=None):
        return self.send({"method": "GET", "path": path}, timeout)

    def alive(self):
        return "down" not in self.get("/v2/health/live", 5)

    def ready(self):
        return self.get("/v2/health/ready", 5).get("status") == 200

    def statistics(self):
        reply = self.get("/v2/models/stats")
        if reply.get("status") != 200:
            return {}
        return flatten_all(json.loads(reply["body"]).get("model_stats", []))

    def index(self):
        reply = self.send({"method": "POST", "path": "/v2/repository/index", "body": {"text": ""}})
        return json.loads(reply["body"]) if reply.get("status") == 200 else []

    def control(self, model, action):
        path = f"/v2/repository/models/{model}/{action}"
        self.send({"method": "POST", "path": path, "body": {"text": ""}})


class GrpcPeer:
    def __init__(self, where, timeout):
        import grpc
        from google.protobuf import json_format, message_factory
        from tritonclient.grpc import service_pb2

        self.grpc, self.json_format = grpc, json_format
        self.make_class = message_factory.GetMessageClass
        self.service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        self.target = f"{where[0]}:{where[1]}"
        self.timeout = timeout
        self.channel = None
        self.connect()

    def connect(self):
        if self.channel is not None:
            self.channel.close()
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        self.channel = self.grpc.insecure_channel(self.target, unlimited)

    def to_dict(self, message):
        if isinstance(message, bytes):
            return {"raw_b64": base64.b64encode(message).decode()}
        return self.json_format.MessageToDict(message, preserving_proto_field_name=True)

    def send(self, request, timeout=None):
        rpc = request["rpc"]
        limit = timeout or request.get("timeout_s") or self.timeout
        extra = {"timeout": limit, "metadata": list(request.get("metadata", {}).items()) or None}
        if "compression" in request:
            extra["compression"] = getattr(self.grpc.Compression, request["compression"])
        bidi = False
        if rpc.startswith("/"):
            pack, unpack, path = bytes, bytes, rpc
            messages = [build_bytes(p) for p in request["raw"]]
        else:
            method = self.service.methods_by_name[rpc]
            kind = self.make_class(method.input_type)
            pack = kind.SerializeToString
            unpack = self.make_class(method.output_type).FromString
            path = f"/{self.service.full_name}/{rpc}"
            bidi = method.client_streaming
            messages = [self.json_format.ParseDict(m, kind()) for m in request["messages"]]
        got = []
        try:
            if bidi:
                call = self.channel.stream_stream(path, pack, unpack)(iter(messages), **extra)
                got.extend(call)
                code, text = call.code(), call.details()
            else:
                reply, call = self.channel.unary_unary(path, pack, unpack).with_call(
                    messages[0], **extra
                )
                got.append(reply)
                code, text = call.code(), call.details()
        except self.grpc.RpcError as err:
            code, text = err.code(), err.details()
        return {
            "status": code.name,
            "message": text or "",
            "responses": [self.to_dict(r) for r in got],
        }

    def quick(self, rpc, **fields):
        return self.send({"rpc": rpc, "messages": [fields]}, 20)

    def alive(self):
        self.connect()
        return self.send({"rpc": "ServerLive", "messages": [{}]}, 5)["status"] == "OK"

    def ready(self):
        self.connect()
        reply = self.send({"rpc": "ServerReady", "messages": [{}]}, 5)
        return reply["status"] == "OK" and reply["responses"][0].get("ready", False)

    def statistics(self):
        reply = self.quick("ModelStatistics")
        if reply["status"] != "OK":
            return {}
        return flatten_all(reply["responses"][0].get("model_stats", []))

    def index(self):
        reply = self.quick("RepositoryIndex")
        return reply["responses"][0].get("models", []) if reply["status"] == "OK" else []

    def control(self, model, action):
        self.quick("RepositoryModel" + action.capitalize(), model_name=model)
