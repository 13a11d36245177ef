#!/usr/bin/env bash
# requests 2.34.2 on urllib3 2.8.0, and niquests 3.21.2 beside it (PyPI): what is the answer to a request, if 103 comes before 200?
#
# Guess:   200; interim answers are to be skipped by clients of HTTP/1.1 that do not know them, and a proxy in front may send 103 Early
#          Hints. No package that is installed beside requests changes what requests answers.
# Seen:    requests returns 103, ok, with an empty body, and raise_for_status() is content: of the interim answers, Python's http.client
#          below knows 100 alone. Once niquests was installed, which nothing imports, the same lines of code get 200 and the body: it
#          brings urllib3-future, which puts itself in the place of urllib3 (pip lists both). httpx 0.28.1 gets 200 either way.
# Follows: what a Python client does with HTTP depends on the environment more than on its own version.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/ask.py" <<'PY'
import httpx, requests, socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        connection = listener.accept()[0]
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
                           b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nanswer")
        connection.close()
threading.Thread(target=serve, daemon=True).start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
answers = requests.get(url), httpx.get(url)
answers[0].raise_for_status()
seen = [(answer.status_code, answer.text) for answer in answers]
print(*sys.argv[1:], "requests:", seen[0], "| httpx:", seen[1])
expected = (103, "") if sys.argv[1] == "alone" else (200, "answer")
assert seen == [expected, (200, "answer")], seen
PY
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install requests==2.34.2 urllib3==2.8.0 httpx==0.28.1
"$work/venv/bin/python" "$work/ask.py" alone
"$work/venv/bin/pip" --quiet install niquests==3.21.2 urllib3-future==2.25.904
"$work/venv/bin/python" "$work/ask.py" beside niquests
"$work/venv/bin/pip" list 2>/dev/null | grep -c '^urllib3' | grep -qx 2
