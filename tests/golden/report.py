"""What became of the cases, as tables for people and as JSON."""

import collections
import json


def say(*parts):
    print(*parts, flush=True)


def report(results, died, path):
    """Says what became of the cases, and writes it to `path` as JSON if there is one: (passed, failed)."""

    def table(title, key):
        rows = collections.defaultdict(collections.Counter)
        for entry in results:
            rows[entry[key] or "(no expectation)"][entry["result"]] += 1
        say(f"\n{title:18} passed failed  text-differs  sent skipped")
        for name in sorted(rows):
            c = rows[name]
            say(
                f"{name:18} {c['pass'] + c['text']:6} {c['fail']:6} {c['text']:13}"
                f" {c['sent']:5} {c['skip']:7}"
            )
        return {k: dict(v) for k, v in rows.items()}

    by_class = table("class", "class")
    by_area = table("area", "area")
    count = collections.Counter(e["result"] for e in results)
    worded = [e for e in results if e["result"] == "text"]
    strict = [e for e in results if e["detail"].startswith("status ok, text differs")]
    say("")
    if worded:
        say(f"status ok, text differs (allowed): {', '.join(e['name'] for e in worded)}")
    if strict:
        say(f"status ok, text differs (failed): {', '.join(e['name'] for e in strict)}")
    if died:
        say(f"the server died or hung on: {', '.join(died)}")
    if count["sent"]:
        say(f"{count['sent']} cases were only sent (no expectation, or not chosen)")
    passed = count["pass"] + count["text"]
    if path:
        with open(path, "w", encoding="utf-8") as f:
            summary = {
                "passed": passed,
                "failed": count["fail"],
                "skipped": count["skip"],
                "sent": count["sent"],
                "text_differs": len(worded),
                "died": died,
                "by_class": by_class,
                "by_area": by_area,
                "cases": results,
            }
            json.dump(summary, f, indent=1, ensure_ascii=False)
    say(f"{passed} passed, {count['fail']} failed, {count['skip']} skipped")
    return passed, count["fail"]
