"""Counters of model statistics: what was counted since a baseline, times left out."""

from comparing import Mismatch, brief

DURATIONS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)


def flatten(entry, plain=False):
    """Counters of one model_stats entry as one flat dict, times left out.

    Raises Mismatch where a counter or a time is not a number >= 0. plain: the entry is
    real JSON, in which nothing may be missing; in a message turned into JSON zero fields
    are absent and 64 bit numbers are strings.
    """

    def number(holder, key, spot):
        value = holder.get(key, None if plain else 0)
        if not plain and isinstance(value, str) and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Mismatch(f"model_stats {spot}: {value!r} is no count")
        return value

    flat = {}
    for key in ("inference_count", "execution_count", "last_inference"):
        value = number(entry, key, key)
        if key != "last_inference":
            flat[key] = value
    groups = [("", entry.get("inference_stats"), DURATIONS)]
    for batch in entry.get("batch_stats", []):
        size = number(batch, "batch_size", "batch_size")
        groups.append((f"batch {size} ", batch, DURATIONS[3:6]))
    for prefix, group, names in groups:
        if not isinstance(group, dict):
            raise Mismatch("model_stats: inference_stats is missing")
        for name in names:
            duration = group.get(name, {})
            if not isinstance(duration, dict):
                raise Mismatch(f"model_stats {prefix}{name} is no object")
            number(duration, "ns", f"{prefix}{name}.ns")
            flat[prefix + name] = number(duration, "count", f"{prefix}{name}.count")
    return flat


def flatten_all(entries):
    flat = {}
    for entry in entries:
        try:
            flat[f"{entry.get('name')}/{entry.get('version')}"] = flatten(entry)
        except Mismatch:
            pass
    return flat


def check_statistics(want, entries, baselines, plain=False):
    if len(entries) != 1:
        raise Mismatch(f"model_stats: {len(entries)} entries instead of 1")
    key = f"{entries[0].get('name')}/{entries[0].get('version')}"
    if key != want["model"]:
        raise Mismatch(f"model_stats: {key} instead of {want['model']}")
    flat = flatten(entries[0], plain)
    before = baselines.get(want.get("since"), {}).get(key, {})
    counts = {k: v - before.get(k, 0) for k, v in flat.items()}
    counts = {k: v for k, v in counts.items() if v}
    if "keys" in want:
        counts = {k: v for k, v in counts.items() if k in want["keys"]}
    wrong = [
        f"{k} {counts.get(k, 0)} instead of {want['counts'].get(k, 0)}"
        for k in sorted(counts.keys() | want["counts"].keys())
        if counts.get(k, 0) != want["counts"].get(k, 0)
    ]
    if wrong:
        raise Mismatch("model_stats: " + ", ".join(wrong))


def check_stat_names(want, entries, plain=False):
    for entry in entries:
        flatten(entry, plain)
    got = sorted(f"{e.get('name')}/{e.get('version')}" for e in entries)
    lost, more = sorted(set(want) - set(got)), sorted(set(got) - set(want))
    if lost or more or len(got) != len(want):
        raise Mismatch(f"model_stats: lacks {brief(lost)}, has unexpected {brief(more)}")
