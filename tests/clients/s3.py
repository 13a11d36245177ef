"""An S3 server for tests, and a proxy before it that counts requests and spoils them."""

import contextlib
import http.client
import re
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "models-of-tests"
KEY = {"AWS_ACCESS_KEY_ID": "test-key-id", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_DEFAULT_REGION": "us-east-1"}


class Store:
    """An S3 server with one bucket, and a client that fills it."""

    def __init__(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.host, self.port = self.server.get_host_and_port()
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{self.host}:{self.port}",
            aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
            region_name=KEY["AWS_DEFAULT_REGION"],
        )
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key, content=b""):
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def delete(self, key):
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def clear(self):
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for entry in page.get("Contents", []):
                self.delete(entry["Key"])

    @contextlib.contextmanager
    def checking_keys(self):
        """Meanwhile every request needs a key that the server knows, and it knows none."""
        self.reset_auth("0")
        try:
            yield
        finally:
            self.reset_auth("inf")

    def reset_auth(self, count):
        url = f"http://{self.host}:{self.port}/moto-api/reset-auth"
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(url, data=count.encode(), headers=headers, method="POST")
        urllib.request.urlopen(request).close()

    def stop(self):
        self.server.stop()


class Proxy:
    """Passes requests on to a store. `fault(method, path)` may say what to do to one instead:

    a number        that status as the answer
    "truncate"      half of the body, then the connection ends
    "trickle"       the whole body in many small pieces
    """

    def __init__(self, store):
        self.store, self.fault = store, lambda method, path: None
        self.requests, self.keys, self.lock = [], set(), threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                proxy.handle(self)

            do_HEAD = do_PUT = do_POST = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        """The host as repositories name it."""
        return f"127.0.0.1:{self.server.server_address[1]}"

    def handle(self, request):
        path = urllib.parse.unquote(request.path)
        with self.lock:
            self.requests.append((request.command, path))
            used = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
            self.keys.add(used[1] if used else None)
            what = self.fault(request.command, path)
        if isinstance(what, int):
            body = b"<Error><Code>TestFault</Code><Message>told to fail</Message></Error>"
            request.send_response(what)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
            return
        link = http.client.HTTPConnection(self.store.host, self.store.port, timeout=30)
        try:
            headers = {k: v for k, v in request.headers.items() if k.lower() != "connection"}
            link.request(request.command, request.path, headers=headers)
            reply = link.getresponse()
            body = reply.read()
        finally:
            link.close()
        request.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if what == "truncate":
            request.wfile.write(body[: len(body) // 2])
            request.close_connection = True
        elif what == "trickle":
            step = max(1, len(body) // 50)
            for at in range(0, len(body), step):
                request.wfile.write(body[at : at + step])
                request.wfile.flush()
        else:
            request.wfile.write(body)

    def objects(self):
        """Keys of the objects that were asked for, in order, without the listings."""
        prefix = f"/{BUCKET}/"
        with self.lock:
            paths = [path for method, path in self.requests if method == "GET"]
        return [p[len(prefix) :] for p in paths if p.startswith(prefix) and "?" not in p]

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.keys.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def first(count, what, where=""):
    """A fault for the first `count` requests whose path has `where` in it."""
    left = [count]

    def fault(_, path):
        if where in path and left[0] > 0:
            left[0] -= 1
            return what
        return None

    return fault
