"""Opens clients that are slow or idle, and says what became of them. Run as a program, so that who measures has a process apart.

    slow_clients.py HTTP_PORT GRPC_PORT SLOW IDLE

Prints `open` once all are connected, then reads its standard input: at `stop`, or when every slow client was ended, it prints one
line of JSON: for each kind how many there were, how many the server ended, and after how many seconds the last one.
"""

import json
import resource
import select
import selectors
import socket
import struct
import sys
import time

INFER = "/v2/models/identity_fp32/infer"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + struct.pack(">I", 0)


def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + content


def literal(name, value):
    """A header field in HPACK, without an index or Huffman's code."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def call_headers():
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/inference.GRPCInferenceService/ModelInfer"),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    return b"".join(literal(*field) for field in fields)


# kind -> (whether it goes to the gRPC port, what it sends at once, what it sends a byte a second)
def kinds():
    body = b'{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[' + b" " * 100_000
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    block = call_headers()
    message = struct.pack(">BI", 0, 50_000) + b"\x0a" * 50_000
    return {
        "head": (False, b"", f"GET {INFER} HTTP/1.1\r\n".encode() + lines),
        "body": (False, head, body),
        "frame": (True, PREFACE, frame(1, 4, 1, block + b"\x00" * 10_000)),
        "headers": (True, PREFACE + frame(1, 0, 1, block[:10]), frame(9, 0, 1, block[10:] + b"\x00" * 10_000)),
        "call": (True, PREFACE + frame(1, 4, 1, block), frame(0, 0, 1, message[:16_000])),
        "preface": (True, b"", PREFACE + b"\x00" * 10_000),
    }


class Slow:
    def __init__(self, kind, link, rest):
        self.kind, self.link, self.rest, self.at, self.began = kind, link, rest, 0, time.monotonic()


def connect(port, at_once=b""):
    link = socket.create_connection(("127.0.0.1", port), timeout=30)
    if at_once:
        link.sendall(at_once)
    return link


def main():
    http_port, grpc_port, slow_count, idle_count = map(int, sys.argv[1:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = []
    for number in range(idle_count):
        # Some never say a word, some had an answer.
        link = connect(http_port if number % 4 < 2 else grpc_port)
        if number % 4 == 1:
            link.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            link.recv(4096)
        elif number % 4 == 3:
            link.sendall(PREFACE)
        idle.append(link)
    selector, slow, all_kinds = selectors.DefaultSelector(), [], list(kinds().items())
    for number in range(slow_count):
        kind, (is_grpc, at_once, rest) = all_kinds[number % len(all_kinds)]
        client = Slow(kind, connect(grpc_port if is_grpc else http_port, at_once), rest)
        client.link.setblocking(False)
        selector.register(client.link, selectors.EVENT_READ, client)
        slow.append(client)
    ended = {kind: [] for kind, _ in all_kinds}
    print("open", flush=True)
    next_byte = time.monotonic()

    def end(client):
        selector.unregister(client.link)
        client.link.close()
        ended[client.kind].append(time.monotonic() - client.began)
        slow.remove(client)

    while slow and not select.select([sys.stdin], [], [], 0)[0]:
        if time.monotonic() >= next_byte:
            next_byte += 1
            for client in list(slow):
                try:
                    client.link.send(client.rest[client.at : client.at + 1])
                    client.at += 1
                except BlockingIOError:
                    pass
                except OSError:
                    end(client)
        for key, _ in selector.select(max(0, min(0.05, next_byte - time.monotonic()))):
            try:
                while data := key.data.link.recv(65536):
                    del data
                end(key.data)
            except BlockingIOError:
                pass
            except OSError:
                end(key.data)
    still = sum(is_open(link) for link in idle)
    report = {kind: [len(range(n, slow_count, len(all_kinds))), len(ended[kind]), max(ended[kind], default=0)] for n, (kind, _) in enumerate(all_kinds)}
    print(json.dumps({"slow": report, "idle": still}), flush=True)


def is_open(link):
    link.setblocking(False)
    try:
        while data := link.recv(65536):
            del data
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
