"""Judges a whole answer: status, headers and the kinds of bodies that cases expect."""

import base64
import collections
import gzip
import json
import re
import zlib

from comparing import Mismatch, brief, check_text, diff, neutral, parse_json
from counts import check_stat_names, check_statistics


def check_index(want, entries):
    def keyed(items):
        return {(e.get("name"), e.get("version", "")): e for e in items}

    expected, got = keyed(want), keyed(entries)
    lost = sorted(expected.keys() - got.keys())
    more = sorted(got.keys() - expected.keys())
    if lost or more or len(entries) != len(want):
        raise Mismatch(
            f"index: {len(entries)} entries instead of {len(want)},"
            f" lacks {brief(lost)}, has unexpected {brief(more)}"
        )
    late = None
    for key, entry in expected.items():
        mine = got[key]
        strange = mine.keys() - {"name", "version", "state", "reason"}
        if strange:
            raise Mismatch(f"index {key[0]}: has unexpected {', '.join(sorted(strange))}")
        state, mine_state = entry.get("state", ""), mine.get("state", "")
        if state != mine_state:
            raise Mismatch(f"index {key[0]}: state {mine_state!r} instead of {state!r}")
        if neutral(entry.get("reason", "")) != neutral(mine.get("reason", "")):
            late = f"index {key[0]}: reason {brief(mine.get('reason'))!r}"
            late += f" instead of {brief(entry.get('reason'))!r}"
    if late:
        raise Mismatch(late, soft=True)


def parse_metrics(text):
    """Metric family -> (type, set of label names) of a Prometheus text page."""
    kinds, labels = {}, collections.defaultdict(set)
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(None, 3)
            kinds[name] = kind.strip()
        elif line and not line.startswith("#"):
            found = re.match(r"([A-Za-z_:][\w:]*)(\{.*\})?\s+\S+", line)
            if not found:
                raise Mismatch(f"metrics: bad line {brief(line)!r}")
            labels[found[1]] |= set(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', found[2] or ""))
    return {name: (kind, labels.get(name, set())) for name, kind in kinds.items()}


def check_metrics(want, text):
    got = parse_metrics(text)
    wrong = []
    for name, rule in want.items():
        if name not in got:
            if not rule.get("optional"):
                wrong.append(f"lacks {name}")
            continue
        kind, labels = got[name]
        if kind != rule["type"]:
            wrong.append(f"{name} is a {kind} instead of a {rule['type']}")
        if set(rule["labels"]) != labels:
            wrong.append(f"{name} has labels {sorted(labels)} instead of {rule['labels']}")
    if wrong:
        raise Mismatch("metrics: " + "; ".join(wrong))


def check_server(want, got):
    if not isinstance(got, dict):
        raise Mismatch("server metadata is no object")
    for key in ("name", "version"):
        if not isinstance(got.get(key), str) or not got[key]:
            raise Mismatch(f"server metadata: no {key}")
    lost = set(want["extensions"]) - set(got.get("extensions", []))
    if lost:
        raise Mismatch(f"server metadata: lacks extensions {sorted(lost)}")


def unpack_body(reply):
    """Body after Content-Encoding."""
    body, coding = reply["body"], reply["headers"].get("content-encoding", "").lower()
    try:
        if coding == "gzip":
            return gzip.decompress(body)
        if coding == "deflate":
            return zlib.decompress(body)
    except (OSError, EOFError, zlib.error) as err:
        raise Mismatch(f"Content-Encoding {coding}, but the body does not unpack: {err}")
    return body


def check_http(want, reply, rules, baselines):
    if "down" in reply:
        raise Mismatch(f"no answer ({reply['down']})")
    if reply["status"] != want["status"]:
        shown = brief(reply["body"].decode("latin-1"))
        raise Mismatch(f"status {reply['status']} instead of {want['status']}: {shown}")
    head = reply["headers"]
    if "encoding" in want and head.get("content-encoding", "").lower() != want["encoding"]:
        raise Mismatch(
            f"Content-Encoding {head.get('content-encoding')!r} instead of {want['encoding']!r}"
        )
    if "type" in want:
        mine = head.get("content-type", "").split(";")[0].strip().lower()
        if mine != want["type"]:
            raise Mismatch(f"Content-Type {mine!r} instead of {want['type']!r}")
    body = unpack_body(reply)
    size = head.get("inference-header-content-length")
    if "tail_b64" in want:
        if size is None or not size.strip().isdigit() or int(size) > len(body):
            raise Mismatch(f"Inference-Header-Content-Length {size!r}, body has {len(body)} bytes")
        body, tail = body[: int(size)], body[int(size) :]
        if tail != base64.b64decode(want["tail_b64"]):
            raise Mismatch(f"binary tail ({len(tail)} bytes) differs: {tail[:32].hex()}")
    elif size is not None:
        raise Mismatch("Inference-Header-Content-Length without binary data")

    kind = want["body"]
    if kind == "any":
        return
    if kind == "empty":
        if body:
            raise Mismatch(f"body should be empty: {brief(body.decode('latin-1'))}")
        return
    if kind == "metrics":
        return check_metrics(want["value"], body.decode("utf-8"))
    if kind == "sse":
        events = [e for e in re.split(r"\r?\n\r?\n", body.decode("utf-8")) if e.strip()]
        if not all(e.startswith("data:") for e in events):
            raise Mismatch("event stream: an event without data:")
        return diff(want["value"], [json.loads(e[5:]) for e in events], rules, "events")
    try:
        value = parse_json(body)
    except ValueError as err:
        raise Mismatch(f"body is no JSON ({err}): {brief(body.decode('latin-1'))}")
    if kind == "error":
        if not isinstance(value, dict) or set(value) != {"error"}:
            raise Mismatch(f"no error object: {brief(value)}")
        return check_text(want.get("value"), value["error"])
    if kind == "json":
        return diff(want["value"], value, rules)
    if kind == "json_b64":
        return diff(parse_json(base64.b64decode(want["value"])), value, rules)
    if kind == "server":
        return check_server(want["value"], value)
    if kind == "index":
        return check_index(want["value"], value)
    if kind in ("stats", "stat_names"):
        if not isinstance(value, dict) or not isinstance(value.get("model_stats"), list):
            raise Mismatch(f"no model_stats: {brief(value)}")
        if kind == "stats":
            return check_statistics(want["value"], value["model_stats"], baselines, plain=True)
        return check_stat_names(want["value"], value["model_stats"], plain=True)
    raise RuntimeError(f"unknown body kind {kind!r}")


def check_grpc(want, reply, rules, baselines):
    if reply["status"] != want["status"]:
        raise Mismatch(
            f"status {reply['status']} instead of {want['status']}: {brief(reply['message'])}"
        )
    kind, got = want["body"], reply["responses"]
    if want["status"] != "OK":
        if want.get("message") != "":
            check_text(want.get("message"), reply["message"])
        if kind == "none" and got:
            raise Mismatch(f"{len(got)} responses before the error")
        return
    if kind == "any":
        return
    if kind == "responses":
        value = want["value"]
        if rules.get("by_id"):
            # answers of different requests of one stream may overtake each other
            def order(m):
                return m.get("infer_response", {}).get("id", "")

            value, got = sorted(value, key=order), sorted(got, key=order)
        return diff(value, got, rules, "responses")
    if len(got) != 1:
        raise Mismatch(f"{len(got)} responses instead of 1")
    if kind == "server":
        return check_server(want["value"], got[0])
    if kind == "index":
        return check_index(want["value"], got[0].get("models", []))
    if kind == "stats":
        return check_statistics(want["value"], got[0].get("model_stats", []), baselines)
    if kind == "stat_names":
        return check_stat_names(want["value"], got[0].get("model_stats", []))
    raise RuntimeError(f"unknown body kind {kind!r}")


def refused(which, reply):
    """Whether the answer is a refusal that a hostile request may get."""
    if which == "http":
        return 400 <= reply.get("status", 0) < 600
    if reply["status"] not in ("OK", "UNAVAILABLE"):
        return True
    # a stream reports errors inside of its answers
    return any(r.get("error_message") for r in reply["responses"])
