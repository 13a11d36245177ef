"""A collector of OpenTelemetry traces: the messages are those of the package opentelemetry-proto, over HTTP and gRPC."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services


def attributes(pairs):
    """Attributes as a dictionary."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Collector(services.TraceServiceServicer):
    """Takes spans on two ports, until close().

    requests   the messages, in the order in which they came
    metadata   the headers of each
    refusals   so many messages are refused at first, to be sent again
    """

    def __init__(self, refusals=0):
        self.lock, self.requests, self.metadata, self.refusals = threading.Lock(), [], [], refusals
        self.web = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.rpc = grpc.server(ThreadPoolExecutor(4))
        services.add_TraceServiceServicer_to_server(self, self.rpc)
        self.grpc_port = self.rpc.add_insecure_port("127.0.0.1:0")
        self.rpc.start()

    @property
    def http_port(self):
        return self.web.server_port

    def close(self):
        self.web.shutdown()
        self.web.server_close()
        self.rpc.stop(None).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def take(self, request, metadata):
        """Whether it was taken."""
        with self.lock:
            if self.refusals > 0:
                self.refusals -= 1
                return False
            self.requests.append(request)
            self.metadata.append(metadata)
            return True

    def Export(self, request, context):
        if not self.take(request, dict(context.invocation_metadata())):
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return service.ExportTraceServiceResponse()

    def handler(self):
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/x-protobuf"
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                request = service.ExportTraceServiceRequest.FromString(body)
                metadata = {name.lower(): value for name, value in self.headers.items()} | {"path": self.path}
                status = 200 if collector.take(request, metadata) else 503
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def spans(self):
        """All spans so far."""
        with self.lock:
            requests = list(self.requests)
        resources = [resource for request in requests for resource in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]

    def resource(self):
        """The attributes of the resource, which is always the same."""
        with self.lock:
            (one,) = {
                tuple(sorted(attributes(resource.resource.attributes).items()))
                for request in self.requests
                for resource in request.resource_spans
            }
        return dict(one)


def tree(spans):
    """Spans as nested (name, children), by their parents; the roots are those whose parent is not among them."""
    known = {span.span_id for span in spans}

    def under(parent):
        children = [span for span in spans if span.parent_span_id == parent]
        children.sort(key=lambda span: (span.start_time_unix_nano, span.name))
        return [(span.name, under(span.span_id)) for span in children]

    roots = {span.parent_span_id for span in spans if span.parent_span_id not in known}
    return [node for root in sorted(roots) for node in under(root)]
