#!/usr/bin/env python3
"""A collector of traces for trying things out: prints the tree of the spans that OTLP brings over gRPC.

    pip install opentelemetry-proto==1.45.2 grpcio
    python3 examples/collector.py [PORT]
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services


class Printing(services.TraceServiceServicer):
    def Export(self, request, context):
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        known = {span.span_id for span in spans}
        for span in spans:
            if span.parent_span_id not in known:
                print(f"trace {span.trace_id.hex()}")
                self.show(span, spans, 1)
        sys.stdout.flush()
        return service.ExportTraceServiceResponse()

    def show(self, span, spans, depth):
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1000
        error = f"  ERROR {span.status.message}" if span.status.code == 2 else ""
        print(f"{'  ' * depth}{span.name:<{40 - 2 * depth}} {took:>10.1f} us{error}")
        inner = [child for child in spans if child.parent_span_id == span.span_id]
        for child in sorted(inner, key=lambda child: child.start_time_unix_nano):
            self.show(child, spans, depth + 1)


def main():
    port = sys.argv[1] if len(sys.argv) > 1 else "4317"
    server = grpc.server(ThreadPoolExecutor(4))
    services.add_TraceServiceServicer_to_server(Printing(), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"listening on 127.0.0.1:{bound}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
