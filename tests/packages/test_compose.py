"""The proxy of deploy/compose finds servers by their names, also those that come later or come back with another address."""

import contextlib
import http.server
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.request

from clean import ROOT
from conftest import need
from server_process import free_ports

CONFIG = os.path.join(ROOT, "deploy", "compose", "haproxy.cfg")


class Names(threading.Thread):
    """A nameserver, as Docker's is: the addresses of `addresses`, and of nothing else."""

    def __init__(self):
        super().__init__(daemon=True)
        self.addresses = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, client = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        labels, place = [], 12
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode())
            place += 1 + length
        question = query[12 : place + 5]
        (kind,) = struct.unpack(">H", query[place + 1 : place + 3])
        address = self.addresses.get(".".join(labels))
        # No error where there is the name, and no answer where it has no address of that kind.
        found = address is not None and kind == 1
        flags = 0x8180 if address else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, int(found), 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address) if found else b""
        return head + question + record


class Replica:
    """What is asked for its health and says where it is."""

    def __init__(self, address, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = address.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def asked_until(url, wanted, proxy):
    """Asks until the answer is WANTED; what was answered last, if that does not come."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                got = reply.read().decode()
        except OSError as error:
            got = str(error)
        assert proxy.poll() is None, "haproxy has ended"
        if got == wanted or time.monotonic() > deadline:
            return got
        time.sleep(0.05)


def test_a_server_is_found_by_its_name_whenever_it_comes_and_wherever_it_is(tmp_path):
    need("haproxy")
    names = Names()
    names.start()
    # All of 127.0.0.0/8 is this machine: two replicas have one port, as in two containers.
    front, other, port = free_ports(3)
    with open(CONFIG, encoding="utf-8") as f:
        text = f.read()
    assert text.count("    parse-resolv-conf\n") == 1
    text = text.replace("    parse-resolv-conf\n", f"    nameserver own 127.0.0.1:{names.port}\n")
    text = text.replace("bind :8000", f"bind 127.0.0.1:{front}").replace("bind :8001", f"bind 127.0.0.1:{other}").replace("a:8000", f"a:{port}")
    (tmp_path / "haproxy.cfg").write_text(text, encoding="utf-8")
    proxy = subprocess.Popen(["haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{front}/"
        assert "503" in asked_until(url, "HTTP Error 503: Service Unavailable", proxy)
        first = Replica("127.0.0.1", port)
        names.addresses["a"] = "127.0.0.1"
        assert asked_until(url, "127.0.0.1", proxy) == "127.0.0.1"
        # The container is made anew.
        first.stop()
        second = Replica("127.0.0.2", port)
        names.addresses["a"] = "127.0.0.2"
        assert asked_until(url, "127.0.0.2", proxy) == "127.0.0.2"
        second.stop()
    finally:
        proxy.terminate()
        proxy.wait(10)
        names.socket.close()
