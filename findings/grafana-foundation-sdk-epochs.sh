#!/usr/bin/env bash
# grafana-foundation-sdk (PyPI), Grafana's own classes of its schema: for which Grafana is the newest version?
#
# Guess:   for the newest Grafana: 12 or 13, as there is a version for each from 10.1 on.
# Seen:    pip takes 1769699998!10.1.0, the schema of Grafana 10.1, the oldest of all. Each version is made with the time of its build as
#          its epoch, which counts before everything behind it, and 10.1 is built last. 0.0.21, without an epoch, is the oldest of all to
#          pip, and has what later Grafanas have: `definition` of a dashboard's variable, which Grafana itself exports, is dropped by the
#          former in silence when a dashboard is read and written, and kept by the latter.
# Follows: pin 0.0.x; ">=" does not lead to later versions, and "<1" keeps all others out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --dry-run --ignore-installed --no-deps --report "$work/report.json" grafana-foundation-sdk
pip install --no-deps --target "$work/newest" 'grafana-foundation-sdk==1769699998!10.1.0'
pip install --no-deps --target "$work/pinned" grafana-foundation-sdk==0.0.21
cat >"$work/keeps.py" <<'PY'
import json, sys, warnings
warnings.simplefilter("ignore")
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
query = "label_values(up, job)"
variable = {"name": "job", "type": "query", "query": {"query": query, "refId": "job"}, "definition": query}
read = Dashboard.from_json({"title": "x", "templating": {"list": [variable]}})
print(json.loads(JSONEncoder().encode(read))["templating"]["list"][0].get("definition"))
PY
"$work/venv/bin/python" - "$work" <<'PY'
import json, os, subprocess, sys
work = sys.argv[1]
(chosen,) = json.load(open(f"{work}/report.json"))["install"]
version = chosen["metadata"]["version"]
kept = {
    name: subprocess.run([sys.executable, f"{work}/keeps.py"], env={**os.environ, "PYTHONPATH": f"{work}/{name}"}, capture_output=True, text=True, check=True).stdout.strip()
    for name in ("newest", "pinned")
}
print(f"pip chooses {version}; definition: {kept}")
assert version.split("!")[1:] == ["10.1.0"], version
assert kept == {"newest": "None", "pinned": "label_values(up, job)"}, kept
PY
